"""restic: encrypted snapshots of folders in a repository elsewhere. Its password goes by standard input."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from ecs_appliance.core.errors import ApplianceError, BusyError, RefusedError
from ecs_appliance.core.runner import CommandError, Result, Runner
from ecs_appliance.host.patience import FIRST_SECONDS, RETRY_SECONDS, Patience
from ecs_appliance.host.troubles import explain

ASK_SECONDS = 600
# A connection on which nothing comes or goes for so long is a dead one.
STUCK = "1m"
LONG_SECONDS = 24 * 3600
# Fewer and larger files in the repository: measured, a third faster to restore.
PACK_MB = "64"
NO_REPOSITORY, LOCKED, WRONG_PASSWORD, INCOMPLETE = 10, 11, 12, 3
REPAIR = "repair packs"
SERVING = "Now serving the repository"
# At most this much of a repository may be what no snapshot needs, before it is written anew.
MAX_UNUSED = "5%"

Note = Callable[[Mapping[str, Any]], None]


class NoRepositoryError(ApplianceError):
    """There is no repository at the place."""


@dataclass(frozen=True)
class Snapshot:
    """A snapshot; `paths` are what it was made of."""

    id: str
    time: datetime
    host: str
    paths: tuple[str, ...]
    tags: tuple[str, ...]

    @property
    def short(self) -> str:
        """The id as people use it."""
        return self.id[:8]


@dataclass(frozen=True)
class Made:
    """A new snapshot: `size` is what it holds, `added` what was written for it, both in bytes.

    `unread` are the files that could not be read: the snapshot lacks them. Those that were removed meanwhile are not
    among them.
    """

    id: str
    files: int
    size: int
    added: int
    unread: tuple[str, ...] = ()

    @property
    def short(self) -> str:
        """The id as people use it."""
        return self.id[:8]


@dataclass(frozen=True)
class Policy:
    """Which snapshots stay: the last, the last of each day, week, month, and all of the last `floor_days` days."""

    last: int
    daily: int
    weekly: int
    monthly: int
    floor_days: int

    def options(self) -> list[str]:
        """As `restic forget` takes them."""
        counts = {"last": self.last, "daily": self.daily, "weekly": self.weekly, "monthly": self.monthly}
        kept = [f"--keep-{name}={count}" for name, count in counts.items() if count]
        # A policy that keeps nothing at all would be refused; one snapshot always stays.
        return [*(kept or ["--keep-last=1"]), f"--keep-within={max(self.floor_days, 1)}d"]


@dataclass(frozen=True)
class Repository:
    """A repository at `location`, as restic names it; `shown` is that without what opens it.

    What only reads takes no lock: a recovery never writes to its source, which may be read-only.
    """

    runner: Runner
    location: str
    shown: str
    password: str = field(repr=False)
    cache: Path
    options: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    # Where the location stands with the secrets that are in it; None: it has none.
    file: Path | None = None

    def identify(self) -> str:
        """Its id. Raises NoRepositoryError where there is none, RefusedError where the password is another's."""
        said = self._run("cat", "config", "--no-lock", timeout=ASK_SECONDS, patience=FIRST_SECONDS)
        answer: dict[str, Any] = _document(said)
        return str(answer["id"])

    def create(self) -> None:
        """Make it, where nothing is."""
        self._run("init", timeout=ASK_SECONDS)

    def unlock(self) -> None:
        """Remove the locks of processes that are dead."""
        self._run("unlock", timeout=ASK_SECONDS)

    def snapshots(self) -> list[Snapshot]:
        """All snapshots, oldest first."""
        found = _document(self._run("snapshots", "--json", "--no-lock", timeout=ASK_SECONDS))
        return sorted(map(_snapshot, found), key=lambda snapshot: snapshot.time)

    def save(
        self, paths: Sequence[Path], *, host: str, tags: Sequence[str], excludes: Sequence[str], note: Note
    ) -> Made:
        """A new snapshot of `paths`; `note` hears of its progress."""
        options = [f"--tag={tag}" for tag in tags] + [f"--exclude={pattern}" for pattern in excludes]
        # Documents are encrypted, and the database's backups compressed already: measured, a fifth faster without.
        packing = (f"--pack-size={PACK_MB}", "--compression=off")
        words = ["backup", "--json", f"--host={host}", *packing, *options, *map(str, paths)]
        summary: dict[str, Any] = {}
        unread: list[str] = []

        def hear(message: Mapping[str, Any]) -> None:
            if message["message_type"] == "summary":
                summary.update(message)
            elif message["message_type"] == "error" and not _has_gone(message):
                unread.append(str(message.get("item", "")))
            note(message)

        self._run(*words, timeout=LONG_SECONDS, note=hear, ok=(0, INCOMPLETE))
        if "snapshot_id" not in summary:
            raise ApplianceError(f"restic made no snapshot in {self.shown}", "journalctl -u appliance-backup")
        return Made(
            id=str(summary["snapshot_id"]),
            files=int(summary["total_files_processed"]),
            size=int(summary["total_bytes_processed"]),
            added=int(summary["data_added_packed"]),
            unread=tuple(sorted(set(unread))),
        )

    def restore(
        self, snapshot: str, folder: Path, target: Path, note: Note, *, only: Sequence[str] = ()
    ) -> tuple[str, ...]:
        """Have what `snapshot` has of `folder` in `target`; what is there already and the same is not read again.

        `only` are patterns of names below `folder`. Returns the paths below `folder` that could not be restored whole.
        Raises CommandError where that is not even known.
        """
        lost: list[str] = []
        ended = False

        def hear(message: Mapping[str, Any]) -> None:
            nonlocal ended
            ended |= message["message_type"] == "summary"
            if message["message_type"] == "error":
                lost.append(str(message.get("item", "")))
            note(message)

        includes = [f"--include={pattern}" for pattern in only]
        words = [
            "restore",
            "--json",
            "--no-lock",
            "--overwrite=if-changed",
            # Rights that a file may give, or give to others, beside its mode.
            "--exclude-xattr=*",
            *includes,
            f"{snapshot}:{folder}",
            f"--target={target}",
        ]
        try:
            self._run(*words, timeout=LONG_SECONDS, note=hear)
        except CommandError as error:
            # One that did not come to its end lacks files that nobody named.
            if error.returncode != 1 or not ended or not lost or "" in lost:
                raise
        return tuple(sorted(set(lost)))

    def mount(self, folder: Path, ready: Callable[[], None]) -> None:
        """Show all snapshots in `folder` until somebody unmounts it; `ready` hears when they are there.

        It ends with whoever started it, also when that is killed.
        """

        def hear(line: str) -> None:
            if line.startswith(SERVING):
                ready()

        with self._explained():
            argv = self._argv("mount", "--no-lock", str(folder))
            self._start(argv, timeout=LONG_SECONDS, hear=hear, tied=True)

    def size_of(self, snapshot: str) -> int:
        """Bytes that `snapshot` takes when it is restored."""
        words = ("stats", "--json", "--no-lock", "--mode=restore-size", snapshot)
        return int(_document(self._run(*words, timeout=LONG_SECONDS))["total_size"])

    def key_id(self) -> str:
        """The id of the key that our password opens, of all that may open the repository."""
        keys = json.loads(self._run("key", "list", "--json", "--no-lock", timeout=ASK_SECONDS).stdout)
        return next((str(key["id"]) for key in keys if key["current"]), "")

    def stored_size(self) -> int:
        """Bytes that all snapshots together take in the repository."""
        words = ("stats", "--json", "--mode=raw-data")
        return int(_document(self._run(*words, timeout=LONG_SECONDS))["total_size"])

    def forget(self, policy: Policy) -> tuple[str, ...]:
        """Remove the snapshots that `policy` does not keep, and what only they needed; returns their ids."""
        words = ("forget", "--json", "--group-by=", *policy.options())
        groups = _document(self._run(*words, timeout=LONG_SECONDS)) or ()
        # Not by forget itself, which would go on with snapshots that a server did not let go.
        self._run("prune", f"--max-unused={MAX_UNUSED}", f"--pack-size={PACK_MB}", timeout=LONG_SECONDS)
        return tuple(str(gone["id"]) for group in groups for gone in group.get("remove") or ())

    def check(self, *, subset: str = "") -> None:
        """Look at its structure, and read `subset` of its data (`3/28`, `100%`). Raises CommandError that says what."""
        words = ["check", *([f"--read-data-subset={subset}"] if subset else [])]
        self._run(*words, timeout=LONG_SECONDS)

    def _argv(self, *words: str) -> list[str]:
        """The command of restic's that does `words`."""
        limits = ("--retry-lock=5m", f"--stuck-request-timeout={STUCK}")
        return ["restic", f"--cache-dir={self.cache}", *limits, *self.options, *words]

    def _variables(self) -> dict[str, str]:
        """The environment of restic; the password is its standard input."""
        place = {"RESTIC_REPOSITORY_FILE": str(self.file)} if self.file else {"RESTIC_REPOSITORY": self.location}
        return {**self.environment, **place, "RESTIC_PASSWORD_FILE": "/dev/stdin", "RESTIC_PROGRESS_FPS": "1"}

    def _run(
        self,
        *words: str,
        timeout: float,
        note: Note | None = None,
        ok: Sequence[int] = (0,),
        patience: float = RETRY_SECONDS,
    ) -> Result:
        waiting = Patience(patience)

        def hear(line: str) -> None:
            waiting.hear(line)
            if note:
                _tell(line, note)

        with self._explained():
            return self._start(self._argv(*words), timeout=timeout, hear=hear, ok=ok)

    def _start(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        hear: Callable[[str], None],
        ok: Sequence[int] = (0,),
        tied: bool = False,
    ) -> Result:
        return self.runner.run(
            argv,
            timeout=timeout,
            input=f"{self.password}\n",
            env=self._variables(),
            ok=ok,
            secrets=(self.password, self.location),
            on_line=hear,
            tied=tied,
        )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except CommandError as failed:
            error = _in_words(failed)
            match error.returncode:
                case code if code == NO_REPOSITORY:
                    raise NoRepositoryError(f"there is no backup at {self.shown}", "") from None
                case code if code == LOCKED:
                    raise BusyError(f"another machine works on {self.shown}", "try again when it has ended") from None
                case code if code == WRONG_PASSWORD:
                    raise RefusedError(
                        f"the backup at {self.shown} has another password",
                        "put the appliance.backup.password (or the encrypt block) that made it into env.yml",
                    ) from None
            # Of damage restic says what to do; in a folder there is no server to blame.
            if REPAIR in error.output or self.location.startswith("/"):
                raise error from None
            raise explain(error, self.shown) from None


def _in_words(error: CommandError) -> CommandError:
    """`error` with the messages of restic's in the place of the JSON that they came in, and without its progress."""
    lines = [text for line in error.output.splitlines() if (text := _words_of(line))]
    what = error.message.partition(":\n")[0]
    message = "\n".join([f"{what}:", *lines]) if lines else what
    return CommandError(message, error.hint, returncode=error.returncode, output="\n".join(lines))


def _words_of(line: str) -> str:
    try:
        message = json.loads(line)
    except ValueError:
        return line
    match message:
        case {"message_type": "exit_error", "message": text}:
            return str(text)
        case {"message_type": "error", "error": {"message": text}}:
            return f"{message.get('item', '')}: {text}".removeprefix(": ")
        case {"message_type": _}:
            return ""
    return line


def _has_gone(error: Mapping[str, Any]) -> bool:
    """Whether there was no file at that moment; by now another one may have its name."""
    return str(error.get("error", {}).get("message", "")).endswith("no such file or directory")


def _document(said: Result) -> Any:
    """The JSON among the lines of `said`, which tell of attempts too; None where there is none."""
    lines = said.stdout.splitlines(keepends=True)
    start = next((number for number, line in enumerate(lines) if line.startswith(("{", "["))), None)
    return None if start is None else json.JSONDecoder().raw_decode("".join(lines[start:]))[0]


def _tell(line: str, note: Note) -> None:
    try:
        message = json.loads(line)
    except ValueError:
        return
    if isinstance(message, dict) and "message_type" in message:
        note(message)


def _snapshot(found: Mapping[str, Any]) -> Snapshot:
    return Snapshot(
        id=str(found["id"]),
        time=datetime.fromisoformat(found["time"]),
        host=str(found.get("hostname", "")),
        paths=tuple(found.get("paths") or ()),
        tags=tuple(found.get("tags") or ()),
    )
