"""When a certificate is due, when to retry, and that names do not delay each other."""

import itertools
import shutil
from pathlib import Path
from typing import cast

import pytest

from ecs_appliance.core.paths import Paths
from ecs_appliance.host.dehydrated import UNREACHED, AcmeError, Client
from ecs_appliance.tls import acme
from ecs_appliance.tls.acme import Authority, IssuanceState, plan
from ecs_appliance.tls.credentials import Credentials, read_credentials
from ecs_appliance.tls.deployment import read_issued
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
        (issued(-50, 40), IssuanceState(), ""),
        (issued(-61, 29), IssuanceState(), "it expires on"),
        (issued(-4, 2.1), IssuanceState(), ""),
        (issued(-4, 1.9), IssuanceState(), "it expires on"),
        ("there is none", IssuanceState(), "there is none"),
        (issued(-1, 89, "other.example.org"), IssuanceState(), "it is for a different name"),
        (issued(-1, 89), IssuanceState(directory="https://old.example.org/dir"), "a different authority"),
        (issued(-1, 89), IssuanceState(directory=WANTED.directory), ""),
    ],
)
def test_a_certificate_is_due_for_a_reason(held: Credentials | str, record: IssuanceState, reason: str) -> None:
    planned = plan(NAME, held, record, WANTED, now=NOW)
    assert planned.reason.startswith(reason) and bool(planned.reason) == bool(reason)
    assert planned.due == bool(reason)


def test_another_kind_of_key_is_a_reason() -> None:
    assert plan(NAME, issued(-1, 89), IssuanceState(), Authority(WANTED.directory, "rsa"), now=NOW).due


@pytest.mark.parametrize(("failures", "wait"), [(1, HOUR), (2, 2 * HOUR), (4, 8 * HOUR), (6, DAY), (99, DAY)])
def test_each_failure_doubles_the_wait_up_to_a_day(failures: int, wait: float) -> None:
    record = IssuanceState(asked=WANTED.directory, attempted=NOW, failures=failures)
    assert plan(NAME, "none", record, WANTED, now=NOW).waits_until == NOW + wait
    assert not plan(NAME, "none", record, WANTED, now=NOW + wait - 1).due
    assert plan(NAME, "none", record, WANTED, now=NOW + wait).due


def test_the_server_may_ask_for_a_longer_wait_and_an_operator_for_none() -> None:
    record = IssuanceState(asked=WANTED.directory, attempted=NOW, failures=1, retry_at=NOW + 30 * HOUR)
    assert plan(NAME, "none", record, WANTED, now=NOW + 2 * HOUR).waits_until == NOW + 30 * HOUR
    assert plan(NAME, "none", record, WANTED, now=NOW, forced=True).due
    assert plan(NAME, issued(-1, 89), IssuanceState(), WANTED, now=NOW, forced=True).due


def test_what_lives_for_a_day_is_not_waited_for_as_long() -> None:
    record = IssuanceState(asked=WANTED.directory, attempted=NOW, failures=9)
    assert plan(NAME, issued(-0.9, 0.1), record, WANTED, now=NOW).waits_until == pytest.approx(NOW + 3 * HOUR)


def test_a_clock_that_was_ahead_holds_nothing_back() -> None:
    ahead = IssuanceState(asked=WANTED.directory, attempted=NOW + 365 * DAY, failures=1)
    assert plan(NAME, "none", ahead, WANTED, now=NOW).due


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """Return a machine without a certificate."""
    return Paths(tmp_path)


class FakeClient:
    """Simulates a remote server: it fails for the names in `failing`, and has lost the account if `lost`."""

    def __init__(
        self, folder: Path, failing: tuple[str, ...] = (), *, lost: bool = False, down: bool = False, gives: str = ""
    ) -> None:
        self.folder, self.failing, self.lost, self.down, self.gives = folder, failing, lost, down, gives
        self.far = NOW + DAY
        self.calls: list[str] = []

    def register(self) -> None:
        self.calls.append("register")

    def forget_account(self) -> None:
        self.calls.append("forget")
        self.lost = False

    def issue(self, name: str) -> None:
        self.calls.append(name)
        if self.lost:
            raise AcmeError("unable to find existing account", kind="accountDoesNotExist", account_lost=True)
        if name in self.failing:
            raise AcmeError("no such name", kind="unauthorized", retry_at=self.far)
        if self.down:
            raise AcmeError("the connection was refused", kind=UNREACHED)
        folder = self.folder / "certs" / name
        folder.mkdir(parents=True, exist_ok=True)
        key, chain = ISSUER.server(self.gives or name)
        (folder / f"privkey-{len(self.calls)}.pem").write_text(key)
        (folder / f"fullchain-{len(self.calls)}.pem").write_text(chain)


def request(paths: Paths, client: FakeClient, *names: str, forced: bool = False) -> dict[str, IssuanceState]:
    return acme.request(paths, cast(Client, client), names, WANTED, now=lambda: NOW, forced=forced)


def test_a_name_that_fails_holds_no_other_up_and_waits(paths: Paths) -> None:
    client = FakeClient(paths.acme, ("a",))
    records = request(paths, client, "a", "b")
    assert client.calls == ["register", "a", "register", "b"]
    assert (records["a"].failures, records["a"].retry_at) == (1, NOW + DAY)
    assert records["b"] == IssuanceState(WANTED.directory, WANTED.directory, renewed=NOW, attempted=NOW)
    client.calls.clear()
    request(paths, client, "a", "b")
    assert client.calls == []
    assert request(paths, client, "a", forced=True)["a"].failures == 2
    assert set(acme.read_issuance(paths)) == {"a"}


def test_an_authority_that_is_not_reached_is_asked_once_a_round(paths: Paths) -> None:
    client = FakeClient(paths.acme, down=True)
    assert request(paths, client, "a", "b", "c")["a"].failures == 1
    assert client.calls == ["register", "a"]


def test_a_round_has_an_end(paths: Paths) -> None:
    client, clock = FakeClient(paths.acme, ("a", "b")), itertools.count(NOW, 1000)
    acme.request(paths, cast(Client, client), ("a", "b", "c"), WANTED, now=lambda: next(clock))
    assert client.calls == ["register", "a"]


def test_a_lost_account_is_replaced_once(paths: Paths) -> None:
    client = FakeClient(paths.acme, lost=True)
    assert request(paths, client, "a")["a"].failures == 0
    assert client.calls == ["register", "a", "forget", "register", "a"]


def test_a_success_forgets_the_failures(paths: Paths) -> None:
    request(paths, FakeClient(paths.acme, ("a",)), "a")
    assert request(paths, FakeClient(paths.acme), "a", forced=True)["a"].failures == 0


def test_a_certificate_that_is_of_no_use_is_a_failure_and_waited_for(paths: Paths) -> None:
    client = FakeClient(paths.acme, gives="elsewhere.example.org")
    record = request(paths, client, "a")["a"]
    assert (record.failures, "it is for a different name" in record.error) == (1, True)
    client.calls.clear()
    request(paths, client, "a")
    assert client.calls == []


def test_another_authority_does_not_wait_for_the_first_one_and_nobody_for_ever(paths: Paths) -> None:
    record = IssuanceState(asked="https://old.example.org/dir", attempted=NOW, failures=3, retry_at=NOW + 7 * DAY)
    assert plan(NAME, "none", record, WANTED, now=NOW).due
    client = FakeClient(paths.acme, ("a",))
    client.far = NOW + 9999 * DAY
    assert request(paths, client, "a")["a"].retry_at == NOW + 8 * DAY


def test_the_last_good_certificate_outlives_the_clients(paths: Paths) -> None:
    request(paths, FakeClient(paths.acme), "a")
    good = read_issued(paths, "a")
    assert isinstance(good, Credentials)
    for file in (paths.acme / "certs/a").iterdir():
        file.write_text("")
    kept = read_issued(paths, "a")
    assert isinstance(kept, Credentials) and kept.leaf == good.leaf
    shutil.rmtree(paths.acme)
    assert isinstance(read_issued(paths, "a"), Credentials)
    assert (paths.state / "acme/a.pem").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"a": {"renewed": "never"}}', '{"a": 3}'])
def test_damaged_records_are_none(paths: Paths, damage: str) -> None:
    paths.state.mkdir(parents=True)
    (paths.state / "acme.json").write_text(damage)
    assert acme.read_issuance(paths) == {}
    assert request(paths, FakeClient(paths.acme), "a")["a"].renewed == NOW
