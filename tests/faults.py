"""Faults of a machine, one per entry: tests/machine/test_status.py causes them, docs/faults.md lists them."""

from dataclasses import dataclass
from pathlib import Path

UNITS = Path(__file__).parents[1] / "salt/states/appliance/files/units"
# The site is down without these.
STAGES = ("prepare-env", "prepare-appliance", "prepare-ecs", "appliance")
GIVES_UP = '/bin/sh -c "exit 8"'


@dataclass(frozen=True)
class Fault:
    """A shell script that breaks the machine, the topic that reports it, the exit code of `status`, and the fix."""

    breaks: str
    topic: str
    code: int
    fixes: str


def services() -> list[str]:
    """Return the appliance's services that the site can run without, without `.service`."""
    return sorted(file.stem for file in UNITS.glob("*.service") if "@" not in file.name and file.stem not in STAGES)


def instead(unit: str, command: str, more: str = "") -> str:
    """Return a script that makes `unit` run `command`, with the extra settings `more`, until `restored`."""
    folder = f"/run/systemd/system/{unit}.service.d"
    lines = f"[Service]\\nExecStart=\\nExecStart={command}\\n{more}\\n"
    return f"mkdir -p {folder}; printf '{lines}' > {folder}/x.conf; systemctl daemon-reload"


def restored(unit: str) -> str:
    return f"rm -r /run/systemd/system/{unit}.service.d; systemctl daemon-reload; systemctl restart {unit}"


TARGET = "/volatile/ecs-backup-test"
STATES = "/app/appliance/salt/states"
FAULTS = {
    **{
        f"{unit} fails": Fault(
            f"{instead(unit, '/bin/false')}; systemctl restart {unit} || true",
            f"unit:{unit}.service",
            1,
            restored(unit),
        )
        for unit in services()
    },
    **{
        f"{unit} gives up": Fault(
            f"{instead(unit, GIVES_UP)}; systemctl restart appliance || true",
            f"unit:{unit}.service",
            2,
            restored(unit) + "; systemctl start appliance",
        )
        for unit in STAGES
    },
    "PostgreSQL stopped": Fault(
        "systemctl stop postgresql@17-main",
        "service:postgresql@17-main.service",
        2,
        "systemctl start postgresql@17-main",
    ),
    "nginx stopped": Fault("systemctl stop nginx", "service:nginx.service", 2, "systemctl start nginx"),
    "the site stopped by hand": Fault("systemctl stop appliance", "standby", 2, "systemctl start appliance"),
    "a latch": Fault(
        "echo somebody has to look > /run/appliance_failed; ln -sf appliance_failed /run/appliance-failed",
        "latch",
        1,
        "rm -f /run/appliance_failed /run/appliance-failed",
    ),
    "a unit that was killed": Fault(
        f"{instead('appliance-certificate', '/bin/sleep 600')}; systemctl start --no-block appliance-certificate;"
        " sleep 2; systemctl kill -s KILL appliance-certificate",
        "unit:appliance-certificate.service",
        1,
        restored("appliance-certificate"),
    ),
    "a unit that took too long": Fault(
        f"{instead('appliance-cleanup', '/bin/sleep 600', 'TimeoutStartSec=1')};"
        " systemctl start appliance-cleanup || true",
        "unit:appliance-cleanup.service",
        1,
        restored("appliance-cleanup"),
    ),
    "a reload that fails": Fault(
        f"mv {STATES}/top.sls /root; systemctl reload appliance || true",
        "unit:appliance.service:reload",
        1,
        f"mv /root/top.sls {STATES}; systemctl reload appliance",
    ),
    "a broken env.yml": Fault(
        "cp -a /app/env.yml /root/env.kept; echo '  broken: [' >> /app/env.yml; systemctl reload appliance",
        "environment",
        1,
        "cp -a /root/env.kept /app/env.yml; systemctl reload appliance",
    ),
    "a backup whose target is away": Fault(
        f"mv {TARGET} /volatile/away; touch {TARGET}; systemctl start appliance-backup-frequent || true",
        "backup",
        1,
        f"rm -rf {TARGET}; mv /volatile/away {TARGET}; systemctl start appliance-backup-frequent",
    ),
}


HEADER = """\
# Faults, and where they show

Each row is a test, tests/machine/test_status.py: `appliance status` and `appliance alerts` name the fault under its
topic, with this exit code and a next step; within a minute metrics and the message at login follow. Once it is fixed,
it is gone with the next check. Exceptions of every class, in every stage: tests/unit/lifecycle/test_boundary.py. Full
file systems: tests/integration/lifecycle/test_full_disk.py. What the topics mean: [alerts](alerts.md).

| fault | topic | `status` exits with |
| --- | --- | --- |
"""


def render() -> str:
    """Return docs/faults.md."""
    return HEADER + "".join(f"| {name} | `{fault.topic}` | {fault.code} |\n" for name, fault in FAULTS.items())
