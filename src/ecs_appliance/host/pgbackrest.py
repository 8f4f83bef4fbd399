"""pgBackRest: the local repository of the database's backups and WAL. Runs as the account postgres."""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ecs_appliance.core.runner import CommandError, Result, Runner
from ecs_appliance.host.cluster import NAME, VERSION
from ecs_appliance.host.fence import Fence

USER = "postgres"
STANZA = "ecs"
# Length of a WAL segment's name.
SEGMENT = 24
UNFINISHED = ".pgbackrest.tmp"
ASK_SECONDS = 120
LOCK_SECONDS = 300
# pgBackRest's exit code if another of its processes holds the lock.
LOCKED = 50
LONG_SECONDS = 24 * 3600

# A backup may be forged, so a restore can write only to the cluster's own files.
RESTORING = Fence(
    "appliance-restore.service",
    USER,
    writable=(Path("/data/postgresql", VERSION, NAME),),
    readable=(Path("/data/pgbackrest"),),
)
# Prevents or redirects what it would otherwise write outside of them.
NOWHERE = ("--log-level-file=off", "--lock-path=/tmp")

RESTORE_COMMAND = f'pgbackrest --stanza={STANZA} archive-get %f "%p"'

BackupKind = Literal["full", "diff", "incr"]


@dataclass(frozen=True)
class ClusterBackup:
    """A successful backup; `stopped` is a Unix time.

    The WAL that it needs is in the folder `log` of the archive, from segment `first` on.
    """

    label: str
    kind: BackupKind
    stopped: float
    log: str
    first: str


@dataclass(frozen=True)
class WalArchive:
    """The repository as configured in /etc/pgbackrest.conf, with `overrides` of options; restores run in `fence`."""

    runner: Runner
    overrides: tuple[str, ...] = ()
    fence: Fence = RESTORING

    def ensure(self, system: int) -> None:
        """Create or upgrade the stanza for the running cluster, whose system identifier is `system`, if necessary.

        Raise CommandError, also if WAL is being archived without a pause.
        """
        stanzas = json.loads(self._run("info", "--output=json").stdout)
        servers = stanzas[0].get("db") if stanzas else None
        # Both commands need the archiving lock, which is seldom free on a busy site, so run them only if necessary.
        if not servers:
            self._run_exclusive("stanza-create")
        elif servers[-1]["system-id"] != system:
            self._run_exclusive("stanza-upgrade")

    def backups(self) -> list[ClusterBackup]:
        """Return the usable backups, oldest first."""
        stanzas = json.loads(self._run("info", "--output=json").stdout)
        return read_backups(stanzas[0]) if stanzas else []

    def save(self, kind: BackupKind) -> None:
        """Make a backup, then expire old ones and the WAL that only they needed."""
        self._run(f"--type={kind}", "backup", timeout=LONG_SECONDS)

    def restore(self, label: str, target: Sequence[str]) -> None:
        """Restore the cluster from backup `label`, to be recovered to `target` (options) at its next start.

        First stop a restore that a killed run left behind, since only one may write to the cluster's files.
        """
        options = (f"--set={label}", *target, "--target-action=promote", "--delta", *NOWHERE)
        self.fence.run(self.runner, self._argv(*options, "restore"), timeout=LONG_SECONDS)

    def other_places(self, label: str) -> list[str]:
        """Return where backup `label` has files outside the cluster's folder: tablespaces and linked folders."""
        (stanza,) = json.loads(self._run("info", f"--set={label}", "--output=json").stdout)
        (backup,) = stanza["backup"]
        return [str(each["destination"]) for kind in ("tablespace", "link") for each in backup.get(kind) or ()]

    def _run_exclusive(self, command: str) -> None:
        end = time.monotonic() + LOCK_SECONDS
        while self._run(command, ok=(0, LOCKED)).returncode == LOCKED:
            if time.monotonic() > end:
                raise CommandError(
                    f"pgbackrest {command}: WAL archiving held the lock for {LOCK_SECONDS} s", "try again"
                )
            time.sleep(1)

    def _argv(self, *words: str) -> list[str]:
        return ["pgbackrest", f"--stanza={STANZA}", "--log-level-console=error", *self.overrides, *words]

    def _run(self, *words: str, timeout: float = ASK_SECONDS, ok: Sequence[int] = (0,)) -> Result:
        return self.runner.run(self._argv(*words), timeout=timeout, user=USER, cwd=Path("/"), ok=ok)


def read_backups(stanza: Mapping[str, Any]) -> list[ClusterBackup]:
    """Return the undamaged backups of the current cluster from the `pgbackrest info` of a stanza."""
    # Backups of an earlier cluster cannot be recovered with the WAL of the current one.
    present = stanza["db"][-1]["id"] if stanza.get("db") else None
    logs = {each["database"]["id"]: each["id"] for each in stanza.get("archive", ())}
    return [
        ClusterBackup(
            label=found["label"],
            kind=found["type"],
            stopped=float(found["timestamp"]["stop"]),
            log=logs[found["database"]["id"]],
            first=found["archive"]["start"],
        )
        for found in stanza.get("backup", ())
        if not found.get("error") and found["database"]["id"] == present and present in logs
    ]


def archived(archive: Path, log: str) -> set[str]:
    """Return the complete WAL segments in the folder `log` of the repository `archive`."""
    found = (archive / "archive" / STANZA / log).glob(f"*/{'?' * SEGMENT}-*")
    return {file.name[:SEGMENT] for file in found if not file.name.endswith(UNFINISHED)}


def missing_segments(segments: Iterable[str], first: str, last: str) -> int:
    """Return how many segments from `first` to `last` are missing in `segments`, whatever their timelines."""
    there = {_number(name) for name in segments}
    return sum(number not in there for number in range(_number(first), _number(last) + 1))


def _number(segment: str) -> int:
    """Return a segment's position in the WAL; its name is timeline, number of the 4 GB file, segment (of 256) in it."""
    return int(segment[8:16], 16) * 256 + int(segment[16:24], 16)
