"""Whether the appliance inside a machine does its work: the site's answer, failed units, what it says of itself."""

import json
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ecs_appliance.core.errors import ApplianceError, DeadlineError, NotRunningError
from ecs_appliance.core.files import write_changed
from ecs_appliance.core.runner import ProcessError
from lab.nspawn import Machine
from lab.nspawn_guest import Guest

CERTIFICATE = "/etc/nginx/appliance/snakeoil.cert.pem"
STATUS = "/var/www/html/status.json"
HEALTH_PATH = "/accounts/login/"
UPDATE = "appliance-update.service"
# What the appliance shows where it waits for a person.
WAITING = ("standby", "no-database", "recovering", "failed")
GOOD = 200
# No answer, and those of nginx alone.
STARTING = (0, 502, 503, 504)
MOST_REFUSALS = 30
TAIL_LINES = 15
POLL_SECONDS = 1.0
SHORT_SECONDS = 20.0


@dataclass(frozen=True)
class Look:
    """What was seen at one moment; `status` is the HTTP status, 0 for no answer; `shown` is status.json."""

    status: int
    updating: bool
    failed_units: tuple[str, ...]
    shown: dict[str, object]

    @property
    def up(self) -> bool:
        """Whether all is done and well."""
        return self.status == GOOD and not self.updating and not self.failed_units

    @property
    def stuck(self) -> bool:
        """Whether waiting on does not help."""
        waits = not self.updating and self.shown.get("kind") in WAITING
        return waits or any(unit.startswith(("appliance", "prepare-")) for unit in self.failed_units)

    @property
    def refuses(self) -> bool:
        """Whether the application answers, but not as it should."""
        return not self.updating and self.status not in (GOOD, *STARTING)

    @property
    def note(self) -> str:
        """What the appliance is doing, for people."""
        step = str(self.shown.get("step") or self.shown.get("headline") or "")
        number = self.shown.get("number")
        return f"{step} ({number} of {self.shown.get('of')})" if number else step


def look(machine: Machine, ca_file: Path) -> Look:
    """Look at the machine now. Raises NotRunningError where it does not run."""
    guest = machine.guest
    _take_certificate(guest, ca_file)
    status = answer(f"https://{machine.spec.network.address}{HEALTH_PATH}", ca_file) if ca_file.exists() else 0
    return Look(status, _active(guest, UPDATE), failed_units(guest), _shown(guest))


def wait_up(machine: Machine, ca_file: Path, *, seconds: float, note: Callable[[str], None]) -> Look:
    """Wait until the site answers and no work is left; `note` hears of each step.

    Raises ApplianceError with the reason where it is stuck, DeadlineError after `seconds`.
    """
    deadline = time.monotonic() + seconds
    refusals = 0
    while True:
        seen = _look_or_nothing(machine, ca_file)
        if seen and seen.up:
            return seen
        refusals = refusals + 1 if seen and seen.refuses else 0
        if seen and (seen.stuck or refusals > MOST_REFUSALS):
            raise ApplianceError(explain(machine.guest, seen))
        if time.monotonic() > deadline:
            reason = explain(machine.guest, seen) if seen else "the machine cannot be reached"
            raise DeadlineError(f"the site did not answer within {seconds:g} s: {reason}")
        note(seen.note if seen else "")
        time.sleep(POLL_SECONDS)


def answer(url: str, ca_file: Path) -> int:
    """The HTTP status of `url`, trusting `ca_file` alone; 0 where nothing answers properly."""
    import httpx  # noqa: PLC0415 # takes longer to load than most commands to run

    trust = ssl.create_default_context(cafile=str(ca_file))
    try:
        return httpx.get(url, verify=trust, timeout=SHORT_SECONDS, trust_env=False).status_code
    except httpx.HTTPError:
        return 0


def failed_units(guest: Guest) -> tuple[str, ...]:
    """The units that systemd inside holds as failed."""
    words = ["systemctl", "list-units", "--state=failed", "--plain", "--no-legend", "--no-pager"]
    listed = guest.run(words, timeout=SHORT_SECONDS, ok=range(256))
    return tuple(line.split()[0] for line in listed.lines())


def explain(guest: Guest, seen: Look) -> str:
    """Why the site is not up: the failed unit with the last lines of its journal, or what the status page says."""
    if seen.failed_units:
        # What asked for a start tells least of why it failed.
        units = sorted(seen.failed_units, key=lambda unit: unit == UPDATE)
        return "\n".join(f"{unit} failed:\n{journal_tail(guest, unit)}" for unit in units)
    said = [str(seen.shown.get(key) or "") for key in ("headline", "error", "next")]
    shown = "; ".join(part for part in said if part)
    return shown or (f"the site answers with HTTP status {seen.status}" if seen.status else "nothing answers")


def journal_tail(guest: Guest, unit: str, lines: int = TAIL_LINES) -> str:
    """The last lines that `unit` wrote to the machine's journal."""
    words = ["journalctl", f"--unit={unit}", f"--lines={lines}", "--output=cat", "--no-pager"]
    return guest.run(words, timeout=SHORT_SECONDS, ok=range(256)).stdout.rstrip()


def _look_or_nothing(machine: Machine, ca_file: Path) -> Look | None:
    """A machine that reboots after its update is away for a moment."""
    try:
        return look(machine, ca_file)
    except (NotRunningError, ProcessError):
        return None


def _take_certificate(guest: Guest, ca_file: Path) -> None:
    shown = guest.run(["cat", CERTIFICATE], timeout=SHORT_SECONDS, ok=(0, 1))
    if shown.returncode == 0:
        write_changed(ca_file, shown.stdout, mode=0o644)


def _active(guest: Guest, unit: str) -> bool:
    state = guest.run(["systemctl", "is-active", unit], timeout=SHORT_SECONDS, ok=range(256)).stdout.strip()
    return state in ("active", "activating", "reloading", "deactivating")


def _shown(guest: Guest) -> dict[str, object]:
    text = guest.run(["cat", STATUS], timeout=SHORT_SECONDS, ok=(0, 1)).stdout
    try:
        shown = json.loads(text or "{}")
    except ValueError:
        return {}
    return shown if isinstance(shown, dict) else {}
