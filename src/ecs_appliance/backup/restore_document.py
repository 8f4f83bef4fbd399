"""Restores a single document from a backup to its place in the vault, which belongs to the application."""

import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ecs_appliance.backup.documents import DEPTH, NAME, hash_file, parse_ledger, place_of
from ecs_appliance.core import folders
from ecs_appliance.core.errors import ApplianceError, RefusedError
from ecs_appliance.core.files import private_folder, read_optional
from ecs_appliance.core.folders import FOLDER, UntrustedError
from ecs_appliance.core.paths import Paths
from ecs_appliance.host.restic import Repository, Snapshot

WORK = ".restore-document"


@dataclass(frozen=True)
class RestoredDocument:
    """The document `name`, restored from `snapshot`.

    `was` is "missing" or "altered"; `verified` is whether it was compared with a recorded SHA-256.
    """

    name: str
    snapshot: Snapshot
    was: str
    verified: bool


def name_of(identifier: str) -> str:
    """Return the vault name of the document `identifier`, a UUID in any notation. Raises RefusedError."""
    name = re.sub(r"[-{}\s]", "", identifier).lower().rpartition("/")[2]
    if not NAME.fullmatch(name):
        raise RefusedError(
            f"{identifier} is not a document ID",
            "an ID has 32 hexadecimal digits; appliance alerts shows those of lost documents",
        )
    return name


def restore_document(
    paths: Paths, repository: Repository, snapshots: Sequence[Snapshot], name: str, ledger: Mapping[str, str]
) -> RestoredDocument:
    """Restore the document `name` from the newest of `snapshots` (oldest first) that has it intact.

    Intact is what `ledger`, or else the snapshot's own, recorded. Raises RefusedError if the present file is
    intact or nothing is known about it, ApplianceError if no snapshot has it.
    """
    was = _look(paths.vault, name, ledger.get(name))
    for snapshot in reversed(snapshots):
        with private_folder(paths.data, WORK) as work:
            file, recorded = _fetch(paths, repository, snapshot, name, work)
            wanted = ledger.get(name) or recorded
            if file is None or wanted not in (None, hash_file(file)):
                continue
            with _folder_of(paths.vault, name, make=True) as folder:
                _put(file, name, folder)
        return RestoredDocument(name, snapshot, was, verified=wanted is not None)
    raise ApplianceError(
        f"no backup contains an intact copy of document {name}",
        "are there backups from before the loss? appliance backup list",
    )


def _look(vault: Path, name: str, wanted: str | None) -> str:
    """Return what is wrong with the present document. Raises RefusedError if nothing is, or that is unknown."""
    try:
        with _folder_of(vault, name, make=False) as folder:
            _check_bad(name, folder, wanted)
    except FileNotFoundError:
        return "missing"
    return "altered"


def _check_bad(name: str, folder: int, wanted: str | None) -> None:
    state = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if not stat.S_ISREG(state.st_mode):
        raise RefusedError(f"the path of document {name} is not a regular file", "find out what it is, and remove it")
    if wanted is None:
        raise RefusedError(
            f"document {name} exists, but there is no recorded SHA-256 to compare it with",
            f"if it is damaged, move it away first: mv /data/ecs-storage-vault/{place_of(name)} /root",
        )
    if hash_file(name, folder) == wanted:
        raise RefusedError(f"document {name} exists and is intact", "nothing needs to be restored")


def _fetch(
    paths: Paths, repository: Repository, snapshot: Snapshot, name: str, work: Path
) -> tuple[Path | None, str | None]:
    """Restore the document to `work`; return its path, None if not intact, and the SHA-256 the snapshot recorded."""
    ledger = paths.backup_documents.relative_to(paths.data)
    place = Path(paths.vault.name) / place_of(name)
    lost = repository.restore(snapshot.id, paths.data, work, lambda _: None, only=[f"/{place}", f"/{ledger}"])
    file = work / place
    recorded = parse_ledger(read_optional(work / ledger) or "").get(name)
    # Content of a backup is untrusted: a link could lead elsewhere.
    whole = not any(each.endswith(name) for each in lost) and file.is_file() and not file.is_symlink()
    return (file if whole else None), recorded


@contextmanager
def _folder_of(vault: Path, name: str, *, make: bool) -> Iterator[int]:
    """Yield a descriptor of the folder of document `name`, following no links.

    With `make`, create it with the vault's owner. Raises FileNotFoundError without `make`, UntrustedError.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(folders.opened(vault))
        owner = os.fstat(folder)
        for step in name[:DEPTH]:
            try:
                below = os.open(step, FOLDER, dir_fd=folder)
            except FileNotFoundError:
                if not make:
                    raise
                os.mkdir(step, 0o755, dir_fd=folder)
                os.chown(step, owner.st_uid, owner.st_gid, dir_fd=folder, follow_symlinks=False)
                below = os.open(step, FOLDER, dir_fd=folder)
            except OSError:
                raise UntrustedError(
                    f"{vault}: {step} in the path of {name} is not a folder", f"ls -l {vault}"
                ) from None
            stack.callback(os.close, below)
            folder = below
        yield folder


def _put(file: Path, name: str, folder: int) -> None:
    """Rename `file`, with the backup's owner and mode but without set-id bits, to `name` in `folder`."""
    with file.open("rb") as content:
        os.fchmod(content.fileno(), stat.S_IMODE(os.fstat(content.fileno()).st_mode) & 0o777)
        os.fsync(content.fileno())
    os.rename(file, name, dst_dir_fd=folder)
    os.fsync(folder)
