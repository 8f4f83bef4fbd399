"""pgBackRest: the local repository of the database, its backups and write-ahead log. Run as the account postgres."""

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
# Characters of a segment's name.
SEGMENT = 24
UNFINISHED = ".pgbackrest.tmp"
ASK_SECONDS = 120
LOCK_SECONDS = 300
# pgBackRest's exit code where another of its processes works.
LOCKED = 50
LONG_SECONDS = 24 * 3600

# What is restored may have been made by a stranger: it reaches the cluster's own files only.
RESTORING = Fence(
    "appliance-restore.service",
    USER,
    writable=(Path("/data/postgresql", VERSION, NAME),),
    readable=(Path("/data/pgbackrest"),),
)
# For what else it would write outside of them.
NOWHERE = ("--log-level-file=off", "--lock-path=/tmp")

RESTORE_COMMAND = f'pgbackrest --stanza={STANZA} archive-get %f "%p"'

Kind = Literal["full", "diff", "incr"]


@dataclass(frozen=True)
class Backup:
    """A backup that ended well; `stopped` is Unix seconds.

    The log that it needs lies in the folder `log` of the archive, from segment `first` on.
    """

    label: str
    kind: Kind
    stopped: float
    log: str
    first: str


@dataclass(frozen=True)
class Archive:
    """The repository as /etc/pgbackrest.conf has it, but for `overrides` of its options; restores run in `fence`."""

    runner: Runner
    overrides: tuple[str, ...] = ()
    fence: Fence = RESTORING

    def ensure(self, system: int) -> None:
        """Have it for the database server that runs, whose number is `system`; another one than before is added to it.

        Raises CommandError; also where the log is being archived without a pause.
        """
        stanzas = json.loads(self._run("info", "--output=json").stdout)
        servers = stanzas[0].get("db") if stanzas else None
        # Both commands want the lock of archiving, which on a busy site is seldom free: only where there is a need.
        if not servers:
            self._run_exclusive("stanza-create")
        elif servers[-1]["system-id"] != system:
            self._run_exclusive("stanza-upgrade")

    def backups(self) -> list[Backup]:
        """Its backups that are of use, oldest first."""
        stanzas = json.loads(self._run("info", "--output=json").stdout)
        return read_backups(stanzas[0]) if stanzas else []

    def save(self, kind: Kind) -> None:
        """A new backup; those that are out of date go, with the log that only they needed."""
        self._run(f"--type={kind}", "backup", timeout=LONG_SECONDS)

    def restore(self, label: str, target: Sequence[str]) -> None:
        """The cluster as backup `label` has it, to be recovered to `target` when it is started next.

        One that a killed run left is ended first: nothing else may write to the files of the next.
        """
        options = (f"--set={label}", *target, "--target-action=promote", "--delta", *NOWHERE)
        self.fence.run(self.runner, self._argv(*options, "restore"), timeout=LONG_SECONDS)

    def other_places(self, label: str) -> list[str]:
        """Where files of backup `label` belong outside of the cluster's own folder: tablespaces, linked folders."""
        (stanza,) = json.loads(self._run("info", f"--set={label}", "--output=json").stdout)
        (backup,) = stanza["backup"]
        return [str(each["destination"]) for kind in ("tablespace", "link") for each in backup.get(kind) or ()]

    def _run_exclusive(self, command: str) -> None:
        end = time.monotonic() + LOCK_SECONDS
        while self._run(command, ok=(0, LOCKED)).returncode == LOCKED:
            if time.monotonic() > end:
                raise CommandError(
                    f"pgbackrest {command}: the log was being archived for {LOCK_SECONDS} s", "try again"
                )
            time.sleep(1)

    def _argv(self, *words: str) -> list[str]:
        return ["pgbackrest", f"--stanza={STANZA}", "--log-level-console=error", *self.overrides, *words]

    def _run(self, *words: str, timeout: float = ASK_SECONDS, ok: Sequence[int] = (0,)) -> Result:
        return self.runner.run(self._argv(*words), timeout=timeout, user=USER, cwd=Path("/"), ok=ok)


def read_backups(stanza: Mapping[str, Any]) -> list[Backup]:
    """The backups of the present server in what `pgbackrest info` says of a stanza, without damaged ones."""
    # Of the server that runs: those of one before do not lead to its log.
    present = stanza["db"][-1]["id"] if stanza.get("db") else None
    logs = {each["database"]["id"]: each["id"] for each in stanza.get("archive", ())}
    return [
        Backup(
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
    """The segments that lie whole in the folder `log` of the repository `archive`."""
    found = (archive / "archive" / STANZA / log).glob(f"*/{'?' * SEGMENT}-*")
    return {file.name[:SEGMENT] for file in found if not file.name.endswith(UNFINISHED)}


def missing_segments(segments: Iterable[str], first: str, last: str) -> int:
    """How many from `first` to `last` are not among `segments`; on which timeline each is does not matter."""
    there = {_number(name) for name in segments}
    return sum(number not in there for number in range(_number(first), _number(last) + 1))


def _number(segment: str) -> int:
    """Its place in the log: a name is timeline, file of 4 GB, and one of 256 segments in it."""
    return int(segment[8:16], 16) * 256 + int(segment[16:24], 16)
