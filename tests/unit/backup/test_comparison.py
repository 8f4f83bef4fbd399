"""The report on compared documents, and how long each proof is valid."""

from pathlib import Path
from uuid import uuid4

import pytest

from ecs_appliance.backup.comparison import Documents, Proofs, compare, read_proofs
from ecs_appliance.core.paths import Paths

GOOD, OTHER = "a" * 64, "b" * 64
ONE, TWO, THREE, FOUR = (str(number) * 32 for number in range(1, 5))


def test_every_document_that_is_as_it_was() -> None:
    hashes = {ONE: GOOD, TWO: GOOD, THREE: GOOD, FOUR: OTHER}
    found = compare(hashes, {ONE: GOOD, TWO: GOOD}, {ONE, TWO, THREE}, {}, {TWO, FOUR})
    assert found == Documents(rows=3, recorded=2, read=2, proven=1, newer=(FOUR,))
    assert (found.wrong(), found.unrecorded) == ((), 1)
    assert found.summary() == (
        "3 compared: 2 match the recorded SHA-256, 1 of them without a recorded SHA-256, "
        "2 decrypted and verified now, 1 verified earlier, unchanged since"
    )


def test_missing_altered_and_unreadable_ones_are_named_once() -> None:
    hashes = {TWO: OTHER, THREE: GOOD, FOUR: ""}
    unreadable = {ONE: "FileNotFoundError", TWO: "GpgError", THREE: "KeyError"}
    found = compare(hashes, {ONE: GOOD, TWO: GOOD, THREE: GOOD}, {ONE, TWO, THREE, FOUR}, unreadable, {FOUR})
    assert found.wrong() == (
        f"document {ONE} is missing",
        f"document {TWO} was altered: it differs from what was recorded",
        f"document {FOUR} was altered: it differs from what was recorded",
        f"document {THREE} cannot be decrypted and verified: KeyError",
    )
    assert (found.rows, found.recorded, found.read, found.unrecorded) == (4, 1, 0, 0)


def test_a_proof_holds_for_its_content_and_keys_and_28_days(tmp_path: Path) -> None:
    paths, names = Paths(tmp_path), [uuid4().hex for _ in range(100)]
    hashes = dict.fromkeys(names, GOOD)
    Proofs("keys").renewed(hashes, 20000).save(paths)
    proofs = read_proofs(paths, "keys")
    assert proofs.holding(hashes, 20000) == set(names)
    assert proofs.holding({**hashes, names[0]: OTHER}, 20000) == set(names[1:])
    assert proofs.holding(dict.fromkeys(names[:3], GOOD), 20000) == set(names[:3])
    assert 0 < len(proofs.holding(hashes, 20014)) < 100
    assert proofs.holding(hashes, 20028) == set()
    # Set back, the clock proves nothing.
    assert proofs.holding(hashes, 19999) == set()
    assert read_proofs(paths, "other keys").holding(hashes, 20000) == set()


def test_a_rotating_part_is_read_again(tmp_path: Path) -> None:
    """Once all are proven, each rehearsal rereads a part, so that each document is read within 28 days."""
    hashes = {uuid4().hex: GOOD for _ in range(400)}
    proofs = Proofs("keys").renewed(hashes, 20000)
    last = dict.fromkeys(hashes, 20000)
    for day in range(20007, 20100, 7):
        due = hashes.keys() - proofs.holding(hashes, day)
        assert 0 < len(due) < 200
        assert all(day - last[name] <= 28 for name in due)
        last |= dict.fromkeys(due, day)
        proofs = proofs.renewed(dict.fromkeys(due, GOOD), day)
        assert all(day - since <= 28 for since in last.values())


def test_proofs_of_what_is_gone_are_forgotten() -> None:
    proofs = Proofs("keys").renewed({ONE: GOOD}, 20000).renewed({TWO: GOOD}, 20028)
    assert set(proofs.proven) == {TWO}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"keyring": "keys"}', '{"keyring": "keys", "proven": {"a": 1}}'])
def test_damaged_proofs_prove_nothing(tmp_path: Path, text: str) -> None:
    paths = Paths(tmp_path)
    paths.state.mkdir(parents=True)
    (paths.state / "documents-proven.json").write_text(text)
    assert read_proofs(paths, "keys") == Proofs("keys")
