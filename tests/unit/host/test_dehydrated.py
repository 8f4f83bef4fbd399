"""dehydrated's failures in a sentence; its messages are those it printed for real servers."""

import time
from pathlib import Path

import pytest

from ecs_appliance.core.errors import DeadlineError
from ecs_appliance.core.runner import CommandError
from ecs_appliance.host.dehydrated import AcmeError, Client, read_failure
from tests.fakes import Answer, AnsweringRunner

DIRECTORY = "https://ca.example.org/dir"
REFUSED_CONNECTION = "ERROR: Problem connecting to server (get for https://ca.example.org/dir; curl returned with 7)"
NOT_TRUSTED = "ERROR: Problem connecting to server (get for https://ca.example.org/dir; curl returned with 60)"
RATE_LIMITED = """Processing www.example.org
 + Requesting new certificate order from CA...
  + ERROR: An error occurred while sending post-request to https://ca.example.org/order-plz (Status 429)

Details:
HTTP/1.1 429 Too Many Requests
Content-Type: application/problem+json
Retry-After: 3600
Replay-Nonce: abc

{
  "type": "urn:ietf:params:acme:error:rateLimited",
  "detail": "too many certificates (5) already issued for \\"www.example.org\\"%s: see the documentation",
  "status": 429
}
"""
INVALID = """ + Challenge validation has failed :(
ERROR: Challenge is invalid! (returned: invalid) (result: ["type"]	"http-01"
["status"]	"invalid"
["error","type"]	"urn:ietf:params:acme:error:unauthorized"
["error","detail"]	"192.0.2.1: Invalid response from http://account.example.org/.well-known/x: 404"
["error","status"]	403
["token"]	"t")
"""
NO_ACCOUNT = """  + ERROR: An error occurred while sending post-request to https://ca.example.org/order-plz (Status 400)

Details:
{ "type": "urn:ietf:params:acme:error:accountDoesNotExist", "detail": "unable to find existing account", "status": 400 }
"""


def test_a_server_that_is_not_reached() -> None:
    assert (
        "https://ca.example.org/dir cannot be reached: no connection could be made"
        in read_failure(REFUSED_CONNECTION).message
    )
    assert read_failure(NOT_TRUSTED).message.endswith("its certificate is not trusted")
    assert "exit code is 99" in read_failure(NOT_TRUSTED.replace("60", "99")).message


def test_a_rate_limit_names_its_end_by_header_or_in_words() -> None:
    failure = read_failure(RATE_LIMITED % "")
    assert failure.kind == "rateLimited"
    assert 'too many certificates (5) already issued for "www.example.org"' in failure.message
    assert failure.retry_at == pytest.approx(time.time() + 3600, abs=5)
    told = read_failure(RATE_LIMITED % ", retry after 2099-01-02 03:04:05 UTC")
    assert time.gmtime(told.retry_at)[:6] == (2099, 1, 2, 3, 4, 5)
    dated = read_failure((RATE_LIMITED % "").replace("3600", "Fri, 02 Jan 2099 03:04:05 GMT"))
    assert dated.retry_at == told.retry_at
    assert read_failure((RATE_LIMITED % "").replace("3600", "soon")).retry_at == 0


def test_a_name_that_is_not_proven_is_no_lost_account() -> None:
    failure = read_failure(INVALID)
    assert not failure.account_lost
    assert failure.message == (
        "the ACME server refused: 192.0.2.1: Invalid response from http://account.example.org/.well-known/x: 404 "
        "(unauthorized)"
    )
    lost = read_failure(NO_ACCOUNT)
    assert (lost.kind, lost.account_lost) == ("accountDoesNotExist", True)
    closed = read_failure("ERROR: Account has been deactivated. Remove account and create a new one using --register.")
    assert closed.account_lost
    assert not read_failure(REFUSED_CONNECTION.replace("dir", "acme/new-account")).account_lost
    assert not read_failure(
        "ERROR: Error registering account key. See message above for more information."
    ).account_lost


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("ERROR: Unknown public key algorithm x\n", "the ACME client failed: Unknown public key algorithm x"),
        ("", "the ACME client failed: no output"),
        ("line 3: syntax error\n", "the ACME client failed: line 3: syntax error"),
    ],
)
def test_the_clients_own_failures(output: str, said: str) -> None:
    assert read_failure(output).message == said


def succeeds(argv: list[str]) -> Answer:
    del argv
    return 0, "", ""


def test_it_never_runs_as_root_nor_leaves_a_lock(tmp_path: Path) -> None:
    runner = AnsweringRunner(succeeds)
    client = Client(runner, tmp_path, DIRECTORY)
    client.register()
    client.issue("www.example.org")
    assert runner.users == {"app"}
    assert all("--no-lock" in argv for argv in runner.asked)


def test_a_server_that_never_ends_and_a_client_that_is_not_there_are_failures_like_others(tmp_path: Path) -> None:
    for error, said in (
        (DeadlineError("x"), "did not finish"),
        (CommandError("dehydrated is not installed"), "dehydrated is not installed"),
    ):

        def fails(argv: list[str], error: Exception = error) -> Answer:
            raise error

        with pytest.raises(AcmeError, match=said):
            Client(AnsweringRunner(fails), tmp_path, DIRECTORY).issue("www.example.org")


def test_an_account_is_put_aside_by_its_owner_and_that_of_another_authority_stays(tmp_path: Path) -> None:
    runner = AnsweringRunner(succeeds)
    client = Client(runner, tmp_path, DIRECTORY)
    client.forget_account()
    assert runner.asked == []
    # The name that dehydrated uses: echo "$CA" | base64, URL-safe and without padding.
    folder = tmp_path / "accounts" / "aHR0cHM6Ly9jYS5leGFtcGxlLm9yZy9kaXIK"
    folder.mkdir(parents=True)
    client.forget_account()
    assert runner.users == {"app"}
    assert runner.asked[-1] == ["mv", "-T", "--", str(folder), str(tmp_path / "accounts.unknown")]


@pytest.mark.parametrize("after", ["9" * 400, "9" * 5000, "²", "soon", "Fri, 99 Foo 2099 03:04:05 GMT"])
def test_no_answer_of_a_server_is_more_than_a_failure(after: str) -> None:
    assert read_failure((RATE_LIMITED % "").replace("3600", after)).retry_at == 0
    assert read_failure(RATE_LIMITED % ", retry after 2024-02-30 99:00:00 UTC").retry_at == 0
    long = read_failure(RATE_LIMITED % ("x" * 5_000_000)).message
    assert len(long) < 500
    steering = read_failure(RATE_LIMITED % "\\u001b]0;title\\u0007\\ud800").message
    assert "\\x1b]0;title\\x07\\ud800" in steering
