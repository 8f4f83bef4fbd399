"""pgBackRest: the local repository of the database, its backups and write-ahead log. Run as the account postgres."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ecs_appliance.core.runner import Result, Runner

USER = "postgres"
STANZA = "ecs"
ASK_SECONDS = 120
LONG_SECONDS = 24 * 3600

Kind = Literal["full", "diff", "incr"]


@dataclass(frozen=True)
class Backup:
    """A backup that ended well; `stopped` is Unix seconds, `size` bytes of the database."""

    label: str
    kind: Kind
    stopped: float
    size: int


@dataclass(frozen=True)
class Archive:
    """The repository as /etc/pgbackrest.conf has it, but for `overrides` of its options."""

    runner: Runner
    overrides: tuple[str, ...] = ()

    def ensure(self) -> None:
        """Have it for the database server that runs; another server than before is added to it."""
        made = self._run("stanza-create", ok=range(256))
        if made.returncode:
            self._run("stanza-upgrade")

    def backups(self) -> list[Backup]:
        """Its backups that are of use, oldest first."""
        stanzas = json.loads(self._run("info", "--output=json").stdout)
        found = stanzas[0].get("backup", ()) if stanzas else ()
        return [_backup(one) for one in found if not one.get("error")]

    def save(self, kind: Kind) -> None:
        """A new backup; those that are out of date go, with the log that only they needed."""
        self._run(f"--type={kind}", "backup", timeout=LONG_SECONDS)

    def restore(self, label: str, target: Sequence[str]) -> None:
        """The cluster as backup `label` has it, to be recovered to `target` when it is started next."""
        options = (f"--set={label}", *target, "--target-action=promote", "--delta")
        self._run(*options, "restore", timeout=LONG_SECONDS)

    def _run(self, *words: str, timeout: float = ASK_SECONDS, ok: Sequence[int] = (0,)) -> Result:
        argv = ["pgbackrest", f"--stanza={STANZA}", "--log-level-console=error", *self.overrides, *words]
        return self.runner.run(argv, timeout=timeout, user=USER, cwd=Path("/"), ok=ok)


def _backup(found: dict[str, Any]) -> Backup:
    stopped, size = float(found["timestamp"]["stop"]), int(found["info"]["size"])
    return Backup(found["label"], found["type"], stopped, size)
