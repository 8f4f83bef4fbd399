"""Obtain certificates by ACME: decide for which names one is due, when to retry, and record the result."""

import datetime
from collections.abc import Callable
from dataclasses import dataclass, replace

from ecs_appliance.core.paths import Paths
from ecs_appliance.core.state import StateFile
from ecs_appliance.env.model import Env
from ecs_appliance.host.dehydrated import UNREACHED, AcmeError, Client
from ecs_appliance.tls.credentials import Credentials
from ecs_appliance.tls.deployment import keep_issued, read_issued

RENEW_BEFORE = datetime.timedelta(days=30)
# Certificates with a lifetime below three months are renewed when a third of it is left.
RENEW_PART = 3
# An hour after the first failure, doubled each time: authorities limit the failures per hour.
FIRST_WAIT = datetime.timedelta(hours=1)
LONGEST_WAIT = datetime.timedelta(days=1)
# A certificate with a lifetime of a day cannot wait that long: at most this part of its lifetime.
WAIT_PART = 8
# Upper limit for an authority's Retry-After: a wrong value must not stop renewal forever.
LONGEST_RETRY = datetime.timedelta(days=8)
# No further name is requested in a run after this time; the next run continues.
ROUND_SECONDS = 1800.0


@dataclass(frozen=True)
class Authority:
    """The URL of the authority's directory, and the key type to use (ecdsa or rsa)."""

    directory: str
    key_type: str


@dataclass(frozen=True)
class IssuanceState:
    """What is recorded for one name. Times are Unix times, 0 means never; `error` is the reason of the last failure.

    `directory` is the authority that issued the last certificate, `asked` the one of the last attempt.
    """

    directory: str = ""
    asked: str = ""
    renewed: float = 0.0
    attempted: float = 0.0
    failures: int = 0
    error: str = ""
    retry_at: float = 0.0


@dataclass(frozen=True)
class IssuancePlan:
    """Why a new certificate is due for a name ("": it is not), and until when (Unix time) to wait after a failure."""

    reason: str = ""
    waits_until: float = 0.0

    @property
    def due(self) -> bool:
        return bool(self.reason) and not self.waits_until


def authority_of(env: Env) -> Authority:
    """Return the authority that `env` names."""
    acme = env.appliance.ssl.letsencrypt
    return Authority(acme.directory, acme.key_type)


def plan(
    name: str,
    issued: Credentials | str,
    record: IssuanceState,
    authority: Authority,
    *,
    now: float,
    forced: bool = False,
) -> IssuancePlan:
    """Decide about `name` at `now` by its certificate `issued` and its `record`; `forced` requests one at once."""
    reason = "requested" if forced else _reason(name, issued, record, authority, now)
    if not reason or forced or not record.failures:
        return IssuancePlan(reason)
    wait = min(FIRST_WAIT * 2 ** min(record.failures - 1, 10), _longest_wait(issued))
    until = max(record.attempted + wait.total_seconds(), record.retry_at)
    # Failures of another authority, or a clock that was ahead at the last attempt, cause no waiting.
    waits = record.asked == authority.directory and record.attempted <= now < until
    return IssuancePlan(reason, until if waits else 0.0)


def request(
    paths: Paths,
    client: Client,
    names: tuple[str, ...],
    authority: Authority,
    *,
    now: Callable[[], float],
    forced: bool = False,
) -> dict[str, IssuanceState]:
    """Request the certificates that are due for `names`, one after the other; continue after a failed one.

    Stop early if the authority cannot be reached or after half an hour. Store and return the records of all `names`.
    """
    records, end = read_issuance(paths), now() + ROUND_SECONDS
    for name in names:
        record = records.get(name, IssuanceState())
        if not plan(name, read_issued(paths, name), record, authority, now=now(), forced=forced).due:
            continue
        records[name], reached = _attempt(paths, client, name, record, authority=authority, now=now)
        _file(paths).write(records)
        if not reached or now() > end:
            break
    kept = {name: records.get(name, IssuanceState()) for name in names}
    if kept != records:
        _file(paths).write(kept)
    return kept


def read_issuance(paths: Paths) -> dict[str, IssuanceState]:
    """Return the stored records by name; empty if the file is missing or damaged."""
    return _file(paths).read() or {}


def _file(paths: Paths) -> StateFile[dict[str, IssuanceState]]:
    return StateFile(paths.state / "acme.json", dict[str, IssuanceState])


def _attempt(
    paths: Paths, client: Client, name: str, record: IssuanceState, *, authority: Authority, now: Callable[[], float]
) -> tuple[IssuanceState, bool]:
    """Request a certificate for `name`; return its new record, and whether the authority was reached."""
    began = now()
    try:
        _issue(client, name)
        keep_issued(paths, name)
        # Only a certificate that needs no renewal counts as success; others would be requested again every hour.
        left = _reason(name, read_issued(paths, name), IssuanceState(), authority, now())
        if left:
            raise AcmeError(f"the authority issued an unusable certificate: {left}")
    except AcmeError as error:
        failed = replace(record, asked=authority.directory, attempted=began, failures=record.failures + 1)
        retry_at = min(error.retry_at, began + LONGEST_RETRY.total_seconds())
        return replace(failed, error=error.message, retry_at=retry_at), error.kind != UNREACHED
    return IssuanceState(authority.directory, authority.directory, renewed=now(), attempted=began), True


def _issue(client: Client, name: str) -> None:
    """Request a certificate, replacing the account once if the server has deleted or deactivated it."""
    try:
        client.register()
        client.issue(name)
    except AcmeError as error:
        if not error.account_lost:
            raise
        client.forget_account()
        client.register()
        client.issue(name)


def _reason(name: str, issued: Credentials | str, record: IssuanceState, authority: Authority, now: float) -> str:
    if isinstance(issued, str):
        return issued
    left = issued.expires - datetime.datetime.fromtimestamp(now, datetime.UTC)
    reasons = {
        "it is for a different name": not issued.covers(name),
        f"its key is {issued.key_type}, not {authority.key_type}": issued.key_type != authority.key_type,
        "a different authority is configured": bool(record.directory) and record.directory != authority.directory,
        f"it expires on {issued.expires:%Y-%m-%d %H:%M} UTC": left < min(RENEW_BEFORE, issued.lifetime / RENEW_PART),
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def _longest_wait(issued: Credentials | str) -> datetime.timedelta:
    return LONGEST_WAIT if isinstance(issued, str) else min(LONGEST_WAIT, issued.lifetime / WAIT_PART)
