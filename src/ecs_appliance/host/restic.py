"""restic: encrypted snapshots in a repository. The password is passed through standard input."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from ecs_appliance.core.errors import ApplianceError, BusyError, RefusedError
from ecs_appliance.core.runner import CommandError, Result, Runner
from ecs_appliance.host.restic_errors import translate
from ecs_appliance.host.restic_retries import FIRST_COMMAND_SECONDS, RETRY_SECONDS, RetryBudget

ASK_SECONDS = 600
# A connection without any traffic for this long is considered dead.
STUCK = "1m"
LONG_SECONDS = 24 * 3600
# Fewer and larger files in the repository restore a third faster (measured).
PACK_MB = "64"
NO_REPOSITORY, LOCKED, WRONG_PASSWORD, INCOMPLETE = 10, 11, 12, 3
REPAIR = "repair packs"
SERVING = "Now serving the repository"
# How much unneeded data a repository may contain before prune repacks it.
MAX_UNUSED = "5%"

OnProgress = Callable[[Mapping[str, Any]], None]


class NoRepositoryError(ApplianceError):
    """There is no repository at this location."""


@dataclass(frozen=True)
class Snapshot:
    """A snapshot; `paths` are the folders it was made of."""

    id: str
    time: datetime
    host: str
    paths: tuple[str, ...]
    tags: tuple[str, ...]

    @property
    def short(self) -> str:
        """The short id that people use."""
        return self.id[:8]


@dataclass(frozen=True)
class Made:
    """A new snapshot: `size` is that of its files, `added` what was written to the repository, both in bytes.

    `unread` are the files that the snapshot lacks because they could not be read; files removed during the backup are
    not among them.
    """

    id: str
    files: int
    size: int
    added: int
    unread: tuple[str, ...] = ()

    @property
    def short(self) -> str:
        """The short id that people use."""
        return self.id[:8]


@dataclass(frozen=True)
class Policy:
    """The retention: how many last, daily, weekly and monthly snapshots to keep, and all of the last `floor_days`."""

    last: int
    daily: int
    weekly: int
    monthly: int
    floor_days: int

    def options(self) -> list[str]:
        """Return the policy as options of `restic forget`."""
        counts = {"last": self.last, "daily": self.daily, "weekly": self.weekly, "monthly": self.monthly}
        kept = [f"--keep-{name}={count}" for name, count in counts.items() if count]
        # restic refuses a policy that keeps nothing; one snapshot always stays.
        return [*(kept or ["--keep-last=1"]), f"--keep-within={max(self.floor_days, 1)}d"]


@dataclass(frozen=True)
class Repository:
    """A repository at `location` in restic's notation; `shown` is the location without secrets.

    The commands that a recovery uses take no lock: it never writes to its source, which may be read-only.
    """

    runner: Runner
    location: str
    shown: str
    password: str = field(repr=False)
    cache: Path
    options: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    # Contains the location, if that includes secrets; otherwise None.
    file: Path | None = None

    def identify(self) -> str:
        """Return the repository's id. Raise NoRepositoryError if there is none, RefusedError for a wrong password."""
        said = self._run("cat", "config", "--no-lock", timeout=ASK_SECONDS, patience=FIRST_COMMAND_SECONDS)
        answer: dict[str, Any] = _document(said)
        return str(answer["id"])

    def create(self) -> None:
        """Create the repository."""
        self._run("init", timeout=ASK_SECONDS)

    def unlock(self) -> None:
        """Remove the locks of dead processes."""
        self._run("unlock", timeout=ASK_SECONDS)

    def snapshots(self) -> list[Snapshot]:
        """Return all snapshots, oldest first."""
        found = _document(self._run("snapshots", "--json", "--no-lock", timeout=ASK_SECONDS))
        return sorted(map(_snapshot, found), key=lambda snapshot: snapshot.time)

    def save(
        self, paths: Sequence[Path], *, host: str, tags: Sequence[str], excludes: Sequence[str], on_progress: OnProgress
    ) -> Made:
        """Create a snapshot of `paths`; call `on_progress` with each of restic's JSON messages."""
        options = [f"--tag={tag}" for tag in tags] + [f"--exclude={pattern}" for pattern in excludes]
        # Documents are encrypted and the database's backups compressed already: a fifth faster without (measured).
        packing = (f"--pack-size={PACK_MB}", "--compression=off")
        words = ["backup", "--json", f"--host={host}", *packing, *options, *map(str, paths)]
        summary: dict[str, Any] = {}
        unread: list[str] = []

        def on_message(message: Mapping[str, Any]) -> None:
            if message["message_type"] == "summary":
                summary.update(message)
            elif message["message_type"] == "error" and not _has_gone(message):
                unread.append(str(message.get("item", "")))
            on_progress(message)

        self._run(*words, timeout=LONG_SECONDS, on_progress=on_message, ok=(0, INCOMPLETE))
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
        self, snapshot: str, folder: Path, target: Path, on_progress: OnProgress, *, only: Sequence[str] = ()
    ) -> tuple[str, ...]:
        """Restore `folder` from `snapshot` into `target`, without reading files again that are there and unchanged.

        `only` are patterns of names below `folder`. Return the paths below `folder` that could not be restored
        completely. Raise CommandError if these are not known.
        """
        lost: list[str] = []
        ended = False

        def on_message(message: Mapping[str, Any]) -> None:
            nonlocal ended
            ended |= message["message_type"] == "summary"
            if message["message_type"] == "error":
                lost.append(str(message.get("item", "")))
            on_progress(message)

        includes = [f"--include={pattern}" for pattern in only]
        words = [
            "restore",
            "--json",
            "--no-lock",
            "--overwrite=if-changed",
            # Extended attributes can grant rights beyond the mode: capabilities, ACLs.
            "--exclude-xattr=*",
            *includes,
            f"{snapshot}:{folder}",
            f"--target={target}",
        ]
        try:
            self._run(*words, timeout=LONG_SECONDS, on_progress=on_message)
        except CommandError as error:
            # A restore that did not finish lacks files that it did not report.
            if error.returncode != 1 or not ended or not lost or "" in lost:
                raise
        return tuple(sorted(set(lost)))

    def mount(self, folder: Path, ready: Callable[[], None]) -> None:
        """Mount all snapshots on `folder` and return when it is unmounted; call `ready` once they are visible.

        restic ends with the calling process, even if that is killed.
        """

        def on_line(line: str) -> None:
            if line.startswith(SERVING):
                ready()

        with self._explained():
            argv = self._argv("mount", "--no-lock", str(folder))
            self._start(argv, timeout=LONG_SECONDS, on_line=on_line, die_with_parent=True)

    def size_of(self, snapshot: str) -> int:
        """Return the size of `snapshot` when restored, in bytes."""
        words = ("stats", "--json", "--no-lock", "--mode=restore-size", snapshot)
        return int(_document(self._run(*words, timeout=LONG_SECONDS))["total_size"])

    def key_id(self) -> str:
        """Return the id of the repository key that belongs to our password."""
        keys = json.loads(self._run("key", "list", "--json", "--no-lock", timeout=ASK_SECONDS).stdout)
        return next((str(key["id"]) for key in keys if key["current"]), "")

    def stored_size(self) -> int:
        """Return the size of all snapshots' data in the repository, in bytes."""
        words = ("stats", "--json", "--no-lock", "--mode=raw-data")
        return int(_document(self._run(*words, timeout=LONG_SECONDS))["total_size"])

    def plan_forget(self, policy: Policy) -> tuple[str, ...]:
        """Return the ids of the snapshots that `policy` does not keep; removes nothing."""
        return self._forget(policy, "--dry-run")

    def forget(self, policy: Policy) -> tuple[str, ...]:
        """Remove the snapshots that `policy` does not keep, prune, and return the ids of the removed ones."""
        removed = self._forget(policy)
        # Not `forget --prune`, which would go on even if the server refused to remove snapshots.
        self._run("prune", f"--max-unused={MAX_UNUSED}", f"--pack-size={PACK_MB}", timeout=LONG_SECONDS)
        return removed

    def _forget(self, policy: Policy, *more: str) -> tuple[str, ...]:
        words = ("forget", "--json", "--group-by=", *more, *policy.options())
        groups = _document(self._run(*words, timeout=LONG_SECONDS)) or ()
        return tuple(str(gone["id"]) for group in groups for gone in group.get("remove") or ())

    def check(self, *, subset: str = "") -> None:
        """Check its structure, and read `subset` (`3/28`, `100%`) of its data. Raise CommandError with the problems."""
        words = ["check", *([f"--read-data-subset={subset}"] if subset else [])]
        self._run(*words, timeout=LONG_SECONDS)

    def _argv(self, *words: str) -> list[str]:
        """Return the restic command line for `words`."""
        limits = ("--retry-lock=5m", f"--stuck-request-timeout={STUCK}")
        return ["restic", f"--cache-dir={self.cache}", *limits, *self.options, *words]

    def _variables(self) -> dict[str, str]:
        """Return the environment of restic, which reads the password from standard input."""
        place = {"RESTIC_REPOSITORY_FILE": str(self.file)} if self.file else {"RESTIC_REPOSITORY": self.location}
        return {**self.environment, **place, "RESTIC_PASSWORD_FILE": "/dev/stdin", "RESTIC_PROGRESS_FPS": "1"}

    def _run(
        self,
        *words: str,
        timeout: float,
        on_progress: OnProgress | None = None,
        ok: Sequence[int] = (0,),
        patience: float = RETRY_SECONDS,
    ) -> Result:
        waiting = RetryBudget(patience)

        def on_line(line: str) -> None:
            waiting.read(line)
            if on_progress:
                _tell(line, on_progress)

        with self._explained():
            return self._start(self._argv(*words), timeout=timeout, on_line=on_line, ok=ok)

    def _start(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        on_line: Callable[[str], None],
        ok: Sequence[int] = (0,),
        die_with_parent: bool = False,
    ) -> Result:
        return self.runner.run(
            argv,
            timeout=timeout,
            input=f"{self.password}\n",
            env=self._variables(),
            ok=ok,
            secrets=(self.password, self.location),
            on_line=on_line,
            die_with_parent=die_with_parent,
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
                    raise BusyError(
                        f"another machine is using {self.shown}", "try again when it has finished"
                    ) from None
                case code if code == WRONG_PASSWORD:
                    raise RefusedError(
                        f"the backup at {self.shown} has a different password",
                        "set appliance.backup.password (or the encrypt block) in env.yml to the one it was made with",
                    ) from None
            # For damage, restic itself says what to do; a repository in a local folder has no server.
            if REPAIR in error.output or self.location.startswith("/"):
                raise error from None
            raise translate(error, self.shown) from None


def _in_words(error: CommandError) -> CommandError:
    """Return `error` with the texts from restic's JSON messages instead of the JSON, without progress messages."""
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
    """Return whether `error` says that the file did not exist any more; one of the same name may exist again by now."""
    return str(error.get("error", {}).get("message", "")).endswith("no such file or directory")


def _document(said: Result) -> Any:
    """Return the JSON document in the output `said`, which may begin with retry messages; None if there is none."""
    lines = said.stdout.splitlines(keepends=True)
    start = next((number for number, line in enumerate(lines) if line.startswith(("{", "["))), None)
    return None if start is None else json.JSONDecoder().raw_decode("".join(lines[start:]))[0]


def _tell(line: str, on_progress: OnProgress) -> None:
    try:
        message = json.loads(line)
    except ValueError:
        return
    if isinstance(message, dict) and "message_type" in message:
        on_progress(message)


def _snapshot(found: Mapping[str, Any]) -> Snapshot:
    return Snapshot(
        id=str(found["id"]),
        time=datetime.fromisoformat(found["time"]),
        host=str(found.get("hostname", "")),
        paths=tuple(found.get("paths") or ()),
        tags=tuple(found.get("tags") or ()),
    )
