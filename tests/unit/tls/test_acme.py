"""When a certificate is due, when to try again, and that names do not hold each other up."""

from pathlib import Path
from typing import cast

import pytest

from ecs_appliance.core.paths import Paths
from ecs_appliance.host.dehydrated import AcmeError, Client
from ecs_appliance.tls import acme
from ecs_appliance.tls.acme import Authority, Record, plan
from ecs_appliance.tls.credentials import Credentials, read_credentials
from tests.authorities import Authority as Issuer
from tests.authorities import moment

ISSUER = Issuer()
NAME = "www.example.org"
WANTED = Authority("https://ca.example.org/dir", "ecdsa")
NOW = moment().timestamp()
HOUR, DAY = 3600.0, 86400.0


def issued(begin: float, end: float, name: str = NAME) -> Credentials:
    return read_credentials(*ISSUER.server(name, days=(begin, end)))


@pytest.mark.parametrize(
    ("held", "record", "reason"),
    [
        (issued(-50, 40), Record(), ""),
        (issued(-61, 29), Record(), "it ends on"),
        (issued(-4, 2.1), Record(), ""),
        (issued(-4, 1.9), Record(), "it ends on"),
        ("there is none", Record(), "there is none"),
        (issued(-1, 89, "other.example.org"), Record(), "it is for another name"),
        (issued(-1, 89), Record(directory="https://old.example.org/dir"), "another authority"),
        (issued(-1, 89), Record(directory=WANTED.directory), ""),
    ],
)
def test_a_certificate_is_due_for_a_reason(held: Credentials | str, record: Record, reason: str) -> None:
    planned = plan(NAME, held, record, WANTED, now=NOW)
    assert planned.reason.startswith(reason) and bool(planned.reason) == bool(reason)
    assert planned.due == bool(reason)


def test_another_kind_of_key_is_a_reason() -> None:
    assert plan(NAME, issued(-1, 89), Record(), Authority(WANTED.directory, "rsa"), now=NOW).due


@pytest.mark.parametrize(("failures", "wait"), [(1, HOUR), (2, 2 * HOUR), (4, 8 * HOUR), (6, DAY), (99, DAY)])
def test_each_failure_doubles_the_wait_up_to_a_day(failures: int, wait: float) -> None:
    record = Record(attempted=NOW, failures=failures)
    assert plan(NAME, "none", record, WANTED, now=NOW).waits_until == NOW + wait
    assert not plan(NAME, "none", record, WANTED, now=NOW + wait - 1).due
    assert plan(NAME, "none", record, WANTED, now=NOW + wait).due


def test_the_server_may_ask_for_a_longer_wait_and_an_operator_for_none() -> None:
    record = Record(attempted=NOW, failures=1, retry_at=NOW + 30 * HOUR)
    assert plan(NAME, "none", record, WANTED, now=NOW + 2 * HOUR).waits_until == NOW + 30 * HOUR
    assert plan(NAME, "none", record, WANTED, now=NOW, forced=True).due
    assert plan(NAME, issued(-1, 89), Record(), WANTED, now=NOW, forced=True).due


def test_what_lives_for_a_day_is_not_waited_for_as_long() -> None:
    record = Record(attempted=NOW, failures=9)
    assert plan(NAME, issued(-0.9, 0.1), record, WANTED, now=NOW).waits_until == pytest.approx(NOW + 3 * HOUR)


def test_a_clock_that_was_ahead_holds_nothing_back() -> None:
    assert plan(NAME, "none", Record(attempted=NOW + 365 * DAY, failures=1), WANTED, now=NOW).due


class FakeClient:
    """Stands for a server far away: fails for names that it is told, forgets the account if it is told."""

    def __init__(self, failing: tuple[str, ...] = (), *, lost: bool = False) -> None:
        self.failing, self.lost = failing, lost
        self.calls: list[str] = []

    def register(self) -> None:
        self.calls.append("register")

    def forget_account(self) -> None:
        self.calls.append("forget")
        self.lost = False

    def issue(self, name: str) -> None:
        self.calls.append(name)
        if self.lost:
            raise AcmeError("unable to find existing account", kind="accountDoesNotExist")
        if name in self.failing:
            raise AcmeError("no such account.example.org", kind="unauthorized", challenge=True, retry_at=NOW + DAY)


def request(paths: Paths, client: FakeClient, *names: str, forced: bool = False) -> dict[str, Record]:
    return acme.request(paths, cast(Client, client), names, WANTED, now=lambda: NOW, forced=forced)


def test_a_name_that_fails_holds_no_other_up_and_waits(tmp_path: Path) -> None:
    paths, client = Paths(tmp_path), FakeClient(("a",))
    records = request(paths, client, "a", "b")
    assert client.calls == ["register", "a", "register", "b"]
    assert (records["a"].failures, records["a"].retry_at) == (1, NOW + DAY)
    assert records["b"] == Record(WANTED.directory, renewed=NOW, attempted=NOW)
    client.calls.clear()
    request(paths, client, "a")
    assert client.calls == []
    assert request(paths, client, "a", forced=True)["a"].failures == 2
    assert set(acme.read_records(paths)) == {"a"}


def test_a_lost_account_is_replaced_once(tmp_path: Path) -> None:
    client = FakeClient(lost=True)
    assert request(Paths(tmp_path), client, "a")["a"].failures == 0
    assert client.calls == ["register", "a", "forget", "register", "a"]


def test_a_success_forgets_the_failures(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    request(paths, FakeClient(("a",)), "a")
    assert request(paths, FakeClient(), "a", forced=True)["a"] == Record(WANTED.directory, renewed=NOW, attempted=NOW)


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"a": {"nonsense": 1}}', '{"a": 3}'])
def test_damaged_records_are_none(tmp_path: Path, damage: str) -> None:
    paths = Paths(tmp_path)
    paths.state.mkdir(parents=True)
    (paths.state / "acme.json").write_text(damage)
    assert acme.read_records(paths) == {}
    assert set(request(paths, FakeClient(), "a")) == {"a"}
