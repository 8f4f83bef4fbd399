"""Revoke certificates and wait until nginx refuses them; watch-ecs-ca passes the revocation list to nginx."""

import time
from collections.abc import Collection
from pathlib import Path

from cryptography import x509

from ecs_appliance.app.certificates import Revoked, revoke_certificates
from ecs_appliance.app.shell import Send
from ecs_appliance.core.errors import DeadlineError
from ecs_appliance.core.files import read_untrusted
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import Runner
from ecs_appliance.host.nginx import CLIENT_CA, in_use, serving_workers
from ecs_appliance.tls.client_ca import LARGEST_FILE, LIST

SECONDS = 10.0
POLL_SECONDS = 0.05


def revoke_and_wait(send: Send, paths: Paths, runner: Runner, names: Collection[str]) -> tuple[list[Revoked], float]:
    """Revoke the certificates `names` and wait until nginx refuses them in handshakes.

    Return them and the seconds that nginx took. Raise as `revoke_certificates` does, and DeadlineError if nginx does
    not follow within `SECONDS`: then they are revoked, but not refused yet.
    """
    before = serving_workers(runner)
    revoked = revoke_certificates(send, list(names))
    former = before if any(one.new for one in revoked) else frozenset()
    serials = {one.certificate.serial for one in revoked}
    return revoked, await_refusal(paths, runner, serials, former=former)


def await_refusal(paths: Paths, runner: Runner, serials: Collection[int], *, former: Collection[int]) -> float:
    """Wait until nginx uses a revocation list with `serials` and no old worker accepts connections any more.

    Old workers are `former` and those seen before the list is deployed. Return the seconds it took. Raise
    DeadlineError after `SECONDS`.
    """
    began, old = time.monotonic(), set(former)
    while True:
        serving = serving_workers(runner)
        missing = set(serials) - revoked_serials(paths.client_ca / LIST)
        if missing:
            old |= serving
        elif not serving or (in_use(paths, CLIENT_CA) and not serving & old):
            return time.monotonic() - began
        if time.monotonic() - began > SECONDS:
            raise _not_followed(paths, missing)
        time.sleep(POLL_SECONDS)


def revoked_serials(file: Path) -> set[int]:
    """Return the serials on the revocation list `file`; empty if it is missing or cannot be read."""
    try:
        return {entry.serial_number for entry in x509.load_pem_x509_crl(read_untrusted(file, LARGEST_FILE))}
    except (OSError, ValueError):
        return set()


def _not_followed(paths: Paths, missing: set[int]) -> DeadlineError:
    after = f"revoked, but still accepted after {SECONDS:g} s:"
    own, deployed = paths.ecs_ca / LIST, paths.client_ca / LIST
    if missing - revoked_serials(own):
        return DeadlineError(
            f"{after} it is not on the application's list {own}",
            "systemctl restart appliance: the application writes its list on every start",
        )
    if missing:
        return DeadlineError(
            f"{after} it is not on nginx's list {deployed}",
            "systemctl start watch-ecs-ca; journalctl -u watch-ecs-ca -n 20",
        )
    return DeadlineError(
        f"{after} nginx does not use its new list yet", "systemctl reload nginx; journalctl -u nginx -n 20"
    )
