"""The machine's state on one screen, for `appliance status` and at login."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass

from cryptography import x509

from ecs_appliance.checks.check import Machine
from ecs_appliance.checks.space import GB, read_rooms
from ecs_appliance.checks.updates import last_update
from ecs_appliance.core.files import read_optional, write_atomic
from ecs_appliance.core.text import printable
from ecs_appliance.host import systemd
from ecs_appliance.lifecycle.release import active_release
from ecs_appliance.reporting.alerts import Alert
from ecs_appliance.reporting.backups import read_backups
from ecs_appliance.reporting.topics import SITE

MINUTE, HOUR, DAY = 60, 3600, 86400
MOTD = "/run/motd.d/appliance"
UNITS = ("prepare-env", "prepare-appliance", "prepare-ecs", "appliance")


@dataclass(frozen=True)
class Overview:
    """Times are Unix seconds, None if unknown; `rooms` has per place: percent of bytes and of files used, GB free."""

    domain: str
    state: str
    up: bool
    reason: str
    step: str
    version: str
    release: str
    units: dict[str, str]
    last_backup: float | None
    verified_backup: float | None
    last_update: float | None
    certificate_ends: float | None
    rooms: dict[str, tuple[float, float, float]]
    memory_free: float
    alerts: list[Alert]

    @property
    def exit_code(self) -> int:
        """Return 0 if nothing is wrong, 1 if there are alerts, 2 if the site is down."""
        return 2 if not self.up else int(bool(self.alerts))

    def as_data(self) -> dict[str, object]:
        """Return all of it, for programs."""
        return {"ok": self.exit_code == 0, **asdict(self)}


def overview(machine: Machine, alerts: Iterable[Alert]) -> Overview:
    """Return the current state of `machine`, with its `alerts`."""
    env, page, tags = machine.env, machine.page, machine.context.tags
    problem = machine.outage
    release, known = active_release(machine.paths), read_backups(machine.paths)
    conditions = systemd.read_conditions(machine.runner, [f"{unit}.service" for unit in UNITS])
    return Overview(
        domain=env.appliance.domain if env else "",
        state="up" if not problem else page.kind if page else "down",
        up=not problem,
        reason="" if not problem else (page.error or page.next if page else "") or problem,
        step=f"{page.number}/{page.of} {page.step}" if problem and page and page.step else "",
        version=(tags.get("last_running_ecs") or "")[:12],
        release=(release.commit if release else "")[:12],
        units={unit.removesuffix(".service"): state.active for unit, state in conditions.items()},
        last_backup=known.success,
        verified_backup=known.verified,
        last_update=last_update(machine),
        certificate_ends=_certificate_end(machine),
        rooms={place: (room.used, room.files, room.free / GB) for place, room in read_rooms(machine.paths).items()},
        memory_free=_memory_free(machine),
        alerts=[alert for alert in alerts if alert.topic != SITE],
    )


def _certificate_end(machine: Machine) -> float | None:
    text = read_optional(machine.paths.server_certificate)
    if not text:
        return None
    try:
        return x509.load_pem_x509_certificate(text.encode()).not_valid_after_utc.timestamp()
    except ValueError:
        return None


def _memory_free(machine: Machine) -> float:
    """Return the percentage of memory that is available."""
    lines = (read_optional(machine.paths.at("/proc/meminfo")) or "").splitlines()
    known = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines) if rest.strip()}
    return 100 * known["MemAvailable"] / known["MemTotal"] if known.get("MemTotal") else 0.0


def lines(seen: Overview, now: float) -> Iterator[str]:
    """Yield `seen` for people, one line per subject, then each alert with the next step."""
    yield _line("site", f"{seen.domain or 'not configured'}: {seen.state.upper() if not seen.up else 'up'}")
    if not seen.up:
        yield _line("", seen.reason)
    if seen.step:
        yield _line("", seen.step)
    yield _line("version", f"{seen.version or 'none yet'}, appliance {seen.release or 'none yet'}")
    yield _line("units", ", ".join(f"{unit} {state}" for unit, state in seen.units.items()))
    yield _line("backup", f"{_ago(seen.last_backup, now)}, proven {_ago(seen.verified_backup, now)}")
    yield _line("update", _ago(seen.last_update, now))
    yield _line("certificate", f"ends {_date(seen.certificate_ends)}" if seen.certificate_ends else "none yet")
    disks = (f"{place} {used:.0f} % ({free:.0f} GB free)" for place, (used, _, free) in seen.rooms.items())
    yield _line("disk", ", ".join(disks))
    yield _line("memory", f"{seen.memory_free:.0f} % available")
    if not seen.alerts:
        yield _line("alerts", "none")
    for alert in seen.alerts:
        yield _line(alert.severity, printable(alert.message))
        yield f"  → {printable(alert.hint)}"


def _line(name: str, value: str) -> str:
    return f"{name:<12} {value}".rstrip()


def _ago(moment: float | None, now: float) -> str:
    if moment is None:
        return "never"
    seconds = max(0.0, now - moment)
    for unit, name in ((DAY, "days"), (HOUR, "hours"), (MINUTE, "minutes")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name} ago"
    return "just now"


def _date(moment: float) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(moment))


def write_motd(machine: Machine) -> None:
    """Write what pam_motd shows at login: the state as of the last check, so that a login need not wait."""
    seen = overview(machine, machine.context.alerts.standing())
    text = "\n".join(["", *lines(seen, machine.now), "", "for the current state: appliance status", ""])
    write_atomic(machine.paths.at(MOTD), text, mode=0o644)
