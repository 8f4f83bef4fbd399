"""Checks that the clock is synchronized: certificates, backups and time stamps of documents rely on it."""

from collections.abc import Iterable

from ecs_appliance.checks.check import Machine
from ecs_appliance.core.facts import read_facts
from ecs_appliance.core.files import read_optional
from ecs_appliance.reporting.alerts import Finding
from ecs_appliance.reporting.topics import CLOCK

TOPICS = (CLOCK,)
# Created by systemd-timesyncd once a time server has answered since boot.
SYNCHRONIZED = "/run/systemd/timesync/synchronized"
TIMESYNCD = "/usr/lib/systemd/systemd-timesyncd"
BOOT_SECONDS = 900.0


def find(machine: Machine) -> Iterable[Finding]:
    """Check whether a time server has answered since boot; a machine in a container uses its host's clock."""
    if not machine.paths.at(TIMESYNCD).exists() or read_facts(machine.paths).in_container:
        return
    up = float((read_optional(machine.paths.at("/proc/uptime")) or "0").split()[0])
    if up > BOOT_SECONDS and not machine.paths.at(SYNCHRONIZED).exists():
        yield Finding(
            CLOCK,
            "warning",
            "no time server has answered since the last boot",
            "timedatectl timesync-status; set NTP= in /etc/systemd/timesyncd.conf to a time server that can be reached",
        )
