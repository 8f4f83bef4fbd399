"""Probe the health of the appliance in a machine: the site's answer, failed units, the status page."""

import json
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ecs_appliance.core.errors import ApplianceError, DeadlineError, NotRunningError
from ecs_appliance.core.files import write_changed
from ecs_appliance.core.runner import ProcessError
from lab.nspawn import NspawnMachine
from lab.nspawn_guest import NspawnGuest

CERTIFICATE = "/etc/nginx/appliance/snakeoil.cert.pem"
STATUS = "/var/www/html/status.json"
HEALTH_PATH = "/accounts/login/"
UPDATE = "appliance-update.service"
# Kinds of the status page on which the appliance waits for a person.
WAITING = ("standby", "no-database", "recovering", "failed")
GOOD = 200
# No answer, or one from nginx alone.
STARTING = (0, 502, 503, 504)
MOST_ERRORS = 30
TAIL_LINES = 15
POLL_SECONDS = 1.0
SHORT_SECONDS = 20.0


@dataclass(frozen=True)
class SiteHealth:
    """The result of a probe; `status` is the HTTP status, 0 for no answer; `page` is status.json."""

    status: int
    updating: bool
    failed_units: tuple[str, ...]
    page: dict[str, object]

    @property
    def up(self) -> bool:
        """Return whether the site is up, nothing is left to do, and nothing has failed."""
        return self.status == GOOD and not self.updating and not self.failed_units

    @property
    def stuck(self) -> bool:
        """Return whether waiting longer is pointless."""
        waiting = not self.updating and self.page.get("kind") in WAITING
        return waiting or any(unit.startswith(("appliance", "prepare-")) for unit in self.failed_units)

    @property
    def has_error(self) -> bool:
        """Return whether the application answers, but with an error."""
        return not self.updating and self.status not in (GOOD, *STARTING)

    @property
    def note(self) -> str:
        """Return what the appliance is doing, as text."""
        step = str(self.page.get("step") or self.page.get("headline") or "")
        number = self.page.get("number")
        return f"{step} ({number} of {self.page.get('of')})" if number else step


def probe(machine: NspawnMachine, ca_file: Path) -> SiteHealth:
    """Probe the machine once. Raise NotRunningError if it does not run."""
    guest = machine.guest
    _fetch_certificate(guest, ca_file)
    status = http_status(f"https://{machine.spec.network.address}{HEALTH_PATH}", ca_file) if ca_file.exists() else 0
    return SiteHealth(status, _is_active(guest, UPDATE), failed_units(guest), _read_page(guest))


def wait_up(machine: NspawnMachine, ca_file: Path, *, seconds: float, on_progress: Callable[[str], None]) -> SiteHealth:
    """Wait until the site answers and no work is left; `on_progress` gets the current step at every probe.

    Raise ApplianceError with the reason if it is stuck, DeadlineError after `seconds`.
    """
    deadline = time.monotonic() + seconds
    errors = 0
    while True:
        seen = _probe_if_running(machine, ca_file)
        if seen and seen.up:
            return seen
        errors = errors + 1 if seen and seen.has_error else 0
        if seen and (seen.stuck or errors > MOST_ERRORS):
            raise ApplianceError(explain(machine.guest, seen))
        if time.monotonic() > deadline:
            reason = explain(machine.guest, seen) if seen else "the machine cannot be reached"
            raise DeadlineError(f"the site did not answer within {seconds:g} s: {reason}")
        on_progress(seen.note if seen else "")
        time.sleep(POLL_SECONDS)


def http_status(url: str, ca_file: Path) -> int:
    """Return the HTTP status of `url`, trusting only `ca_file`; 0 without a proper answer."""
    import httpx  # noqa: PLC0415 # takes longer to load than most commands to run

    trust = ssl.create_default_context(cafile=str(ca_file))
    try:
        return httpx.get(url, verify=trust, timeout=SHORT_SECONDS, trust_env=False).status_code
    except httpx.HTTPError:
        return 0


def failed_units(guest: NspawnGuest) -> tuple[str, ...]:
    """Return the units of the machine that have failed."""
    words = ["systemctl", "list-units", "--state=failed", "--plain", "--no-legend", "--no-pager"]
    listed = guest.run(words, timeout=SHORT_SECONDS, ok=range(256))
    return tuple(line.split()[0] for line in listed.lines())


def explain(guest: NspawnGuest, seen: SiteHealth) -> str:
    """Return why the site is not up: the failed units with the end of their journal, or what the status page says."""
    if seen.failed_units:
        # The update comes last: it only requests the start and says least about why that failed.
        units = sorted(seen.failed_units, key=lambda unit: unit == UPDATE)
        return "\n".join(f"{unit} failed:\n{journal_tail(guest, unit)}" for unit in units)
    parts = [str(seen.page.get(key) or "") for key in ("headline", "error", "next")]
    text = "; ".join(part for part in parts if part)
    return text or (f"the site answers with HTTP status {seen.status}" if seen.status else "nothing answers")


def journal_tail(guest: NspawnGuest, unit: str, lines: int = TAIL_LINES) -> str:
    """Return the last lines that `unit` wrote to the machine's journal."""
    words = ["journalctl", f"--unit={unit}", f"--lines={lines}", "--output=cat", "--no-pager"]
    return guest.run(words, timeout=SHORT_SECONDS, ok=range(256)).stdout.rstrip()


def _probe_if_running(machine: NspawnMachine, ca_file: Path) -> SiteHealth | None:
    """Probe the machine; return None while it does not run, as it may reboot after its update."""
    try:
        return probe(machine, ca_file)
    except (NotRunningError, ProcessError):
        return None


def _fetch_certificate(guest: NspawnGuest, ca_file: Path) -> None:
    certificate = guest.run(["cat", CERTIFICATE], timeout=SHORT_SECONDS, ok=(0, 1))
    if certificate.returncode == 0:
        write_changed(ca_file, certificate.stdout, mode=0o644)


def _is_active(guest: NspawnGuest, unit: str) -> bool:
    state = guest.run(["systemctl", "is-active", unit], timeout=SHORT_SECONDS, ok=range(256)).stdout.strip()
    return state in ("active", "activating", "reloading", "deactivating")


def _read_page(guest: NspawnGuest) -> dict[str, object]:
    text = guest.run(["cat", STATUS], timeout=SHORT_SECONDS, ok=(0, 1)).stdout
    try:
        page = json.loads(text or "{}")
    except ValueError:
        return {}
    return page if isinstance(page, dict) else {}
