"""The documents in the vault, and the ledger of their recorded SHA-256.

The vault writes a document once: a file that differs from the ledger is damaged, whatever changed it. The ledger is in
each backup, in the format of `sha256sum --check`. What is known of files that have not changed since is kept in a
cache, which may be lost.
"""

import hashlib
import os
import re
import stat
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ecs_appliance.core import folders
from ecs_appliance.core.files import read_optional, write_changed
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.state import StateFile

NAME = re.compile(r"[0-9a-f]{32}")
LINE = re.compile(r"([0-9a-f]{64})  (?:[0-9a-f]/){4}([0-9a-f]{32})")
DEPTH = 4
OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# The application writes new documents under their final names: younger files may still grow.
REST_SECONDS = 60
# A row and its file are created and removed together, but not atomically.
CONFIRM_SECONDS = 5
# Each document is read again within this many days, even if unchanged: disks fail silently.
DAYS = 28

# What identifies a file's state (size, mtime and ctime in nanoseconds, inode), and its SHA-256 then.
Known = tuple[int, int, int, int, str]


@dataclass(frozen=True)
class Stock:
    """Result of taking stock of the vault: the number of files, and names of documents.

    `missing` have a row but no file; `altered` differ from the ledger or cannot be read. `gone` have no file, but it is
    unknown whether the application removed them, because its rows could not be read.
    """

    files: int
    missing: tuple[str, ...] = ()
    altered: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()


def place_of(name: str) -> str:
    """Return the path of the document `name` below the vault."""
    return f"{'/'.join(name[:DEPTH])}/{name}"


def today() -> int:
    """Return the number of days since the Unix epoch."""
    return int(time.time() // 86400)


def is_due(name: str, day: int, since: int) -> bool:
    """Return whether the turn of `name`, once in 28 days, comes on a day after `since`, up to `day`."""
    turn = int(name, 16) % DAYS
    return (day - turn) // DAYS > (since - turn) // DAYS


def find(vault: Path) -> Iterator[tuple[str, int, os.stat_result]]:
    """Yield each document of `vault`: its name, its folder's descriptor, its stat result. Links are not followed."""
    try:
        with folders.opened(vault) as top:
            for base, below, files, descriptor in os.fwalk(".", dir_fd=top, follow_symlinks=False):
                below[:] = [name for name in below if base.count("/") < DEPTH and len(name) == 1]
                for name in files:
                    if NAME.fullmatch(name) and f"{base}/{name}" == f"./{place_of(name)}":
                        yield from _look(name, descriptor)
    except FileNotFoundError:
        return


def _look(name: str, descriptor: int) -> Iterator[tuple[str, int, os.stat_result]]:
    try:
        state = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
    except FileNotFoundError:
        return
    if stat.S_ISREG(state.st_mode):
        yield name, descriptor, state


def hash_file(name: str | Path, descriptor: int | None = None) -> str:
    """Return the SHA-256 of the file `name` in the folder `descriptor`; empty if it cannot be read."""
    try:
        with os.fdopen(os.open(name, OPEN, dir_fd=descriptor), "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def hash_all(vault: Path, only: Collection[str] | None = None) -> dict[str, str]:
    """Return the SHA-256 of each document of `vault`, or of those in `only`; empty for unreadable ones."""
    if only is not None and not only:
        return {}
    return {name: hash_file(name, folder) for name, folder, _ in find(vault) if only is None or name in only}


def read_ledger(paths: Paths) -> dict[str, str]:
    """Return the recorded SHA-256 of each document, in the order they were recorded."""
    return parse_ledger(read_optional(paths.backup_documents) or "")


def parse_ledger(text: str) -> dict[str, str]:
    """Return the entries of the ledger `text`; malformed lines are skipped."""
    return {found[2]: found[1] for line in text.splitlines() if (found := LINE.fullmatch(line))}


def write_ledger(paths: Paths, ledger: Mapping[str, str]) -> None:
    """Write the ledger where the next snapshot includes it."""
    lines = [f"{digest}  {place_of(name)}\n" for name, digest in ledger.items()]
    write_changed(paths.backup_documents, "".join(lines))


def take_stock(paths: Paths, ask_rows: Callable[[], Collection[str] | None], *, reread: bool = False) -> Stock:
    """Check each document of the vault, and record new ones in the ledger.

    `ask_rows` returns the documents in the database, None if it cannot be queried. Unchanged files are not read again,
    except a 28th of them with `reread`.
    """
    ledger, cache, now = read_ledger(paths), _file(paths).read() or {}, time.time()
    found: dict[str, Known] = {}
    young = set()
    for name, descriptor, state in find(paths.vault):
        if name not in ledger and abs(now - state.st_mtime) < REST_SECONDS:
            young.add(name)
            continue
        look = (state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino)
        *known, digest = cache.get(name, (0, 0, 0, 0, ""))
        if tuple(known) != look or (reread and is_due(name, today(), today() - 1)):
            digest = hash_file(name, descriptor)
        found[name] = (*look, digest)
        if digest:
            ledger.setdefault(name, digest)
    altered = [name for name, (*_, digest) in found.items() if digest != ledger.get(name)]
    gone = [name for name in ledger if name not in found]
    rows = ask_rows()
    if rows is not None:
        # The application removes a file together with its row.
        for name in set(gone) - set(rows):
            del ledger[name]
        gone = []
    missing = _confirm(paths.vault, set(rows or ()) - found.keys() - young, ask_rows)
    write_ledger(paths, ledger)
    # Unreadable files are left out, so that they are read again next time.
    if (readable := {name: known for name, known in found.items() if known[-1]}) != cache:
        _file(paths).write(readable)
    return Stock(len(found) + len(young), tuple(sorted(missing)), tuple(sorted(altered)), tuple(sorted(gone)))


def _confirm(vault: Path, suspects: set[str], ask_rows: Callable[[], Collection[str] | None]) -> set[str]:
    """Return those of `suspects` that still have a row and no file a few seconds later."""
    if not suspects:
        return set()
    time.sleep(CONFIRM_SECONDS)
    rows = ask_rows()
    return suspects & set(suspects if rows is None else rows) - {name for name, _, _ in find(vault)}


def _file(paths: Paths) -> StateFile[dict[str, Known]]:
    return StateFile(paths.state / "documents.json", dict[str, Known])
