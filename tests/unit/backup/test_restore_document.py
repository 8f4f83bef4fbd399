"""Restore a single document: from which backup, over which file, and never through a link."""

import hashlib
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from ecs_appliance.backup.documents import place_of
from ecs_appliance.backup.restore_document import RestoredDocument, name_of, restore_document
from ecs_appliance.core.errors import ApplianceError, RefusedError
from ecs_appliance.core.folders import UntrustedError
from ecs_appliance.core.paths import Paths
from ecs_appliance.host.restic import Repository, Snapshot
from tests.fakes import Answer, AnsweringRunner

NAME = "269f" + "0" * 28
GOOD, BAD = b"good", b"bad"
DIGEST = hashlib.sha256(GOOD).hexdigest()
SUMMARY = '{"message_type": "summary"}'


def snapshot(number: int) -> Snapshot:
    return Snapshot(str(number) * 64, datetime(2030, 5, number, tzinfo=UTC), "ecs", (), ())


class Backups:
    """A repository of snapshots by number, with the document and the ledger that each contains."""

    def __init__(self, root: Path, contents: dict[int, tuple[bytes | None, str]]) -> None:
        self.paths, self.contents = Paths(root), contents
        self.paths.vault.mkdir(parents=True)
        self.runner = AnsweringRunner(self._answer)

    def _answer(self, argv: list[str]) -> Answer:
        number, target = int(argv[-2][0]), Path(argv[-1].removeprefix("--target="))
        content, ledger = self.contents[number]
        (target / "etc/backup").mkdir(parents=True)
        (target / "etc/backup/documents.sha256").write_text(ledger)
        if content is not None:
            file = target / "ecs-storage-vault" / place_of(NAME)
            file.parent.mkdir(parents=True)
            file.write_bytes(content)
            file.chmod(0o4440)
        return 0, SUMMARY, ""

    def restore(self, *, ledger: dict[str, str], only: Sequence[int] = ()) -> RestoredDocument:
        repository = Repository(self.runner, "/backups", "/backups", "password", self.paths.root)
        snapshots = [snapshot(number) for number in sorted(only or self.contents)]
        return restore_document(self.paths, repository, snapshots, NAME, ledger)

    @property
    def place(self) -> Path:
        return self.paths.vault / place_of(NAME)

    def left(self) -> list[str]:
        return [path.name for path in self.paths.data.iterdir()]


def test_the_newest_backup_that_has_it_whole_is_taken(tmp_path: Path) -> None:
    backups = Backups(tmp_path, {1: (GOOD, ""), 2: (GOOD, ""), 3: (BAD, ""), 4: (None, "")})
    assert backups.restore(ledger={NAME: DIGEST}) == RestoredDocument(NAME, snapshot(2), "missing", verified=True)
    assert backups.place.read_bytes() == GOOD
    # Owner and mode do not come from the backup.
    assert backups.place.stat().st_mode & 0o7777 == 0o440
    assert backups.place.stat().st_uid == os.getuid()
    assert backups.left() == ["ecs-storage-vault"]


def test_an_altered_one_is_replaced_and_a_good_one_is_not(tmp_path: Path) -> None:
    backups = Backups(tmp_path, {1: (GOOD, "")})
    backups.place.parent.mkdir(parents=True)
    backups.place.write_bytes(BAD)
    assert backups.restore(ledger={NAME: DIGEST}).was == "altered"
    assert backups.place.read_bytes() == GOOD
    with pytest.raises(RefusedError, match="exists and is intact"):
        backups.restore(ledger={NAME: DIGEST})
    backups.place.write_bytes(BAD)
    with pytest.raises(RefusedError, match="there is no recorded SHA-256"):
        backups.restore(ledger={})
    assert backups.place.read_bytes() == BAD


def test_what_the_site_has_not_recorded_the_backup_may_have(tmp_path: Path) -> None:
    line = f"{DIGEST}  {place_of(NAME)}\n"
    backups = Backups(tmp_path, {1: (GOOD, line), 2: (BAD, line)})
    assert backups.restore(ledger={}) == RestoredDocument(NAME, snapshot(1), "missing", verified=True)


def test_one_that_nothing_is_recorded_of_is_said_to_be_so(tmp_path: Path) -> None:
    backups = Backups(tmp_path, {1: (GOOD, ""), 2: (BAD, "")})
    assert backups.restore(ledger={}) == RestoredDocument(NAME, snapshot(2), "missing", verified=False)


def test_a_named_backup_is_the_only_one_that_is_asked(tmp_path: Path) -> None:
    backups = Backups(tmp_path, {1: (GOOD, ""), 2: (BAD, "")})
    with pytest.raises(ApplianceError, match="no backup contains an intact copy of document"):
        backups.restore(ledger={NAME: DIGEST}, only=[2])
    assert not backups.place.exists()
    assert backups.restore(ledger={NAME: DIGEST}, only=[1]).snapshot == snapshot(1)


@pytest.mark.parametrize("depth", [1, 4])
def test_a_link_on_the_way_leads_nowhere(tmp_path: Path, depth: int) -> None:
    backups = Backups(tmp_path, {1: (GOOD, "")})
    outside = tmp_path / "outside"
    outside.mkdir()
    link = backups.paths.vault.joinpath(*NAME[:depth])
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(outside)
    with pytest.raises(UntrustedError, match="is not a folder"):
        backups.restore(ledger={NAME: DIGEST})
    assert list(outside.iterdir()) == []


def test_a_link_at_its_place_is_not_followed(tmp_path: Path) -> None:
    backups = Backups(tmp_path, {1: (GOOD, "")})
    backups.place.parent.mkdir(parents=True)
    backups.place.symlink_to(tmp_path / "outside")
    with pytest.raises(RefusedError, match="is not a regular file"):
        backups.restore(ledger={NAME: DIGEST})


@pytest.mark.parametrize("written", [NAME, NAME.upper(), str(UUID(NAME)), f"2/6/9/f/{NAME}"])
def test_an_id_in_any_writing(written: str) -> None:
    assert name_of(written) == NAME


@pytest.mark.parametrize("written", ["", "269f", "../../etc/passwd", NAME + "0"])
def test_what_is_no_id_is_refused(written: str) -> None:
    with pytest.raises(RefusedError, match="is not a document ID"):
        name_of(written)
