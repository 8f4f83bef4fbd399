"""The ledger of documents: what is recorded of the vault, and which documents are lost."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from ecs_appliance.backup import documents
from ecs_appliance.backup.documents import Stock, find, hash_all, is_due, place_of, read_ledger, take_stock
from ecs_appliance.core.paths import Paths

OLD = time.time() - 3600


class Site:
    """A vault, and the documents that the database knows."""

    def __init__(self, root: Path) -> None:
        self.paths = Paths(root)
        self.paths.vault.mkdir(parents=True)
        self.rows: set[str] | None = set()

    def store(self, content: bytes = b"content", *, written: float = OLD) -> str:
        name = uuid4().hex
        self.write(name, content, written=written)
        if self.rows is not None:
            self.rows.add(name)
        return name

    def write(self, name: str, content: bytes, *, written: float = OLD) -> None:
        file = self.file(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        os.utime(file, (written, written))

    def file(self, name: str) -> Path:
        return self.paths.vault / place_of(name)

    def stock(self, *, reread: bool = False) -> Stock:
        return take_stock(self.paths, lambda: self.rows, reread=reread)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(documents, "CONFIRM_SECONDS", 0)
    yield Site(tmp_path)


def test_each_document_is_recorded_as_sha256sum_reads_it(site: Site) -> None:
    name = site.store(b"abc")
    assert site.stock() == Stock(files=1)
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    line = f"{digest}  {name[0]}/{name[1]}/{name[2]}/{name[3]}/{name}\n"
    assert site.paths.backup_documents.read_text() == line
    assert hash_all(site.paths.vault) == read_ledger(site.paths) == {name: digest}
    assert hash_all(site.paths.vault, only={"other"}) == {}


def test_what_the_application_may_still_write_is_recorded_later(site: Site) -> None:
    name = site.store(b"half", written=time.time())
    assert site.stock() == Stock(files=1)
    site.write(name, b"half and half")
    assert site.stock() == Stock(files=1)
    assert len(read_ledger(site.paths)) == 1
    # A file dated in the future, by a clock that was ahead, counts as complete too.
    site.store(written=time.time() + 86400)
    site.stock()
    assert len(read_ledger(site.paths)) == 2


def test_an_altered_document_is_found_until_it_is_itself_again(site: Site) -> None:
    name = site.store(b"good")
    site.stock()
    site.write(name, b"bad!", written=OLD)
    for _ in range(2):
        assert site.stock() == Stock(files=1, altered=(name,))
    site.write(name, b"good")
    assert site.stock() == Stock(files=1)


def test_a_missing_document_is_found_until_it_is_back(site: Site) -> None:
    name = site.store(b"good")
    site.stock()
    site.file(name).unlink()
    for _ in range(2):
        assert site.stock() == Stock(files=0, missing=(name,))
    site.write(name, b"good")
    assert site.stock() == Stock(files=1)


def test_one_that_was_never_recorded_is_missing_too(site: Site) -> None:
    name = site.store()
    site.file(name).unlink()
    assert site.stock().missing == (name,)


@pytest.mark.parametrize("depth", [4, 5])
def test_a_link_in_the_place_of_a_document_is_none(site: Site, depth: int) -> None:
    name = site.store()
    site.stock()
    link = site.paths.vault.joinpath(*[*name[:4], name][:depth])
    link.rename(site.paths.root / "elsewhere")
    link.symlink_to(site.paths.root / "elsewhere")
    assert site.stock() == Stock(files=0, missing=(name,))


def test_what_the_application_has_removed_is_no_loss(site: Site) -> None:
    name, other = site.store(), site.store()
    site.stock()
    assert site.rows is not None
    site.rows.remove(name)
    site.file(name).unlink()
    assert site.stock() == Stock(files=1)
    assert set(read_ledger(site.paths)) == {other}


def test_rows_and_files_that_come_and_go_meanwhile_are_no_loss(site: Site) -> None:
    """One row is deleted after its file; another is read before its file is looked for."""
    gone, new = site.store(), uuid4().hex
    site.stock()
    site.file(gone).unlink()
    answers = iter([{gone, new}, {new}])

    def ask() -> set[str]:
        site.write(new, b"new")
        return next(answers)

    assert take_stock(site.paths, ask) == Stock(files=0)


def test_without_rows_it_is_not_said_who_removed_a_file(site: Site) -> None:
    name = site.store()
    site.stock()
    site.file(name).unlink()
    site.rows = None
    assert site.stock() == Stock(files=0, gone=(name,))
    assert set(read_ledger(site.paths)) == {name}


def test_files_that_nobody_touched_are_not_read_again_but_in_their_turn(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {site.store() for _ in range(200)}
    site.stock()
    read: list[str] = []

    def read_other(name: str, _: int) -> str:
        read.append(name)
        return "0" * 64

    monkeypatch.setattr(documents, "hash_file", read_other)
    assert site.stock().altered == ()
    assert read == []
    monkeypatch.setattr(documents, "today", lambda: 20000)
    turn = {name for name in names if int(name, 16) % 28 == 20000 % 28}
    assert set(site.stock(reread=True).altered) == set(read) == turn


def test_a_lost_cache_costs_time_alone(site: Site) -> None:
    name = site.store(b"good")
    site.stock()
    for text in ("", "{", "[]", '{"a": 1}'):
        (site.paths.state / "documents.json").write_text(text)
        assert site.stock() == Stock(files=1)
    site.write(name, b"bad!")
    (site.paths.state / "documents.json").unlink()
    assert site.stock().altered == (name,)


def test_a_lost_ledger_is_made_anew(site: Site) -> None:
    name = site.store()
    site.stock()
    site.paths.backup_documents.write_text("no ledger\n")
    assert site.stock() == Stock(files=1)
    assert set(read_ledger(site.paths)) == {name}


def test_only_documents_at_their_place_are_looked_at(site: Site) -> None:
    name = site.store()
    vault = site.paths.vault
    (vault / "a/b/c/d").mkdir(parents=True, exist_ok=True)
    (vault / "a/b/c/d" / name).write_bytes(b"elsewhere")
    (vault / "a/b/c/d" / f"abcd{'0' * 28}").symlink_to("/etc/passwd")
    os.mkfifo(vault / "a/b/c/d" / f"abcd{'1' * 28}")
    (vault / "a/b/c/d" / f".abcd{'2' * 28}.part").touch()
    other = uuid4().hex[:-4] + "ffff"
    (vault / "long" / "b").mkdir(parents=True)
    (vault / other).touch()
    assert [each for each, _, _ in find(vault)] == [name]
    assert list(find(vault / "not-there")) == []


def test_a_document_that_cannot_be_read_is_no_good_one(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    name = site.store()
    site.stock()
    site.write(name, b"content", written=OLD + 1)
    monkeypatch.setattr(documents, "hash_file", lambda *_: "")
    assert site.stock().altered == (name,)


def test_each_turn_comes_once_in_28_days() -> None:
    names = [uuid4().hex for _ in range(50)]
    for name in names:
        assert sum(is_due(name, day, day - 1) for day in range(20000, 20028)) == 1
        assert sum(is_due(name, day, day - 7) for day in range(20000, 20028, 7)) == 1
        assert is_due(name, 20028, 20000)
        assert not is_due(name, 20000, 20000)
