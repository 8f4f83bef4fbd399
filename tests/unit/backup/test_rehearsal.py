"""The result of a rehearsal, and the evidence page it writes."""

import re
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ecs_appliance.backup.comparison import Documents
from ecs_appliance.backup.evidence import WIDTH, Evidence
from ecs_appliance.backup.evidence_words import ENGLISH, GERMAN
from ecs_appliance.backup.manifest import SnapshotManifest, read_manifest
from ecs_appliance.backup.rehearsal import (
    COMPARISON,
    WEEK,
    RehearsalFindings,
    compare,
    open_stage,
    reached_rpo,
    with_documents,
)
from ecs_appliance.backup.run import SUMMED
from ecs_appliance.core.errors import ApplianceError, RefusedError
from ecs_appliance.core.paths import Paths
from ecs_appliance.host.restic import Snapshot
from ecs_appliance.host.tables import TableChecksum
from tests.fakes import AnsweringRunner

SUMS = {"documents_document": TableChecksum(3, "aa"), "auth_user": TableChecksum(2, "bb")}
RECORD = SnapshotManifest("ecs-1", "20300517-120000F", "ecs", 1.0, 2, "commit", "ecs.example.org", SUMS)
NOBODY = AnsweringRunner(lambda _: (0, "", ""))


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    for name in ("a/one", "b/two", "b/.three.part"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_the_same_rows_and_files_are_well(vault: Path) -> None:
    found = compare(RECORD, SUMS, vault, ())
    assert (found.wrong, found.compared, found.files) == ((), SUMS, 2)


@pytest.mark.parametrize(
    ("now", "wrong"),
    [
        ({"auth_user": SUMS["auth_user"]}, "table documents_document is missing"),
        (
            {**SUMS, "auth_user": TableChecksum(1, "cc")},
            "table auth_user differs from the backup's record: 1 rows now, 2 then",
        ),
        (
            {**SUMS, "auth_user": TableChecksum(2, "cc")},
            "table auth_user differs from the backup's record: 2 rows now, 2 then",
        ),
    ],
)
def test_other_rows_are_named(now: dict[str, TableChecksum], wrong: str, vault: Path) -> None:
    assert compare(RECORD, now, vault, ()).wrong == (wrong,)


def test_lost_and_absent_documents_are_named(vault: Path) -> None:
    found = compare(replace(RECORD, documents=9), SUMS, vault, ("a/one",))
    assert found.wrong == (
        "document a/one is damaged in the backup",
        "the vault has 2 files, but had 9 when it was backed up",
    )


def test_a_record_is_read_again_and_an_older_one_too(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    RECORD.save(paths)
    assert read_manifest(paths) == RECORD
    text = paths.backup_record.read_text()
    paths.backup_record.write_text(text[: text.index(', "sums"')] + "}")
    assert read_manifest(paths) == replace(RECORD, sums={})


def test_documents_that_cannot_be_compared_are_wrong_and_the_rest_is_still_told() -> None:
    def ask() -> Documents:
        raise ApplianceError("the application failed:\nOperationalError: no server")

    found = with_documents(RehearsalFindings(RECORD, compared=SUMS, wrong=("a row is gone",)), ask)
    assert (found.compared, found.documents) == (SUMS, None)
    assert found.uncompared == "the application failed: OperationalError: no server"
    assert found.wrong == ("a row is gone", f"documents were not compared: {found.uncompared}")


def test_what_is_wrong_with_documents_is_wrong_with_the_backup() -> None:
    found = with_documents(
        RehearsalFindings(RECORD, wrong=("a row is gone",)), lambda: Documents(rows=2, missing=("m",))
    )
    assert found.wrong == ("a row is gone", "document m is missing")


def test_the_longest_time_without_a_backup_counts() -> None:
    now = 10 * WEEK
    assert reached_rpo([], now) == 0
    assert reached_rpo([now - 100], now) == 100
    assert reached_rpo([now - 5000, now - 4000, now - 100], now) == 3900
    # Gaps that ended more than a week ago do not count; longer ones that ended since then do.
    assert reached_rpo([now - 3 * WEEK, now - 2 * WEEK, now - 900], now) == 2 * WEEK - 900


def test_without_room_nothing_is_begun(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    for folder in (paths.data, paths.volatile):
        folder.mkdir()
    with (
        pytest.raises(RefusedError, match=r"for a rehearsal, has .* free; 2\d*\.0 GB are needed"),
        open_stage(paths, NOBODY, 10**18),
    ):
        pytest.fail("it was begun")
    assert [*paths.data.iterdir(), *paths.volatile.iterdir()] == []


def test_a_stage_is_cleared_before_and_after(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    for folder in (paths.data, paths.volatile):
        (folder / ".rehearsal/left").mkdir(parents=True)
    assert shutil.disk_usage(tmp_path).free > 10**9
    with open_stage(paths, NOBODY, 1) as stage:
        assert [path.name for path in stage.folder.iterdir()] == ["machine"]
    assert [*paths.data.iterdir(), *paths.volatile.iterdir()] == []


def evidence(findings: RehearsalFindings, start: float | None = 5.0) -> Evidence:
    return Evidence(
        snapshot=Snapshot("ab" * 32, datetime(2030, 5, 17, 12, tzinfo=UTC), "ecs.example.org", (), ()),
        size=2 * 10**9,
        began=datetime(2030, 5, 18, 10, tzinfo=UTC).timestamp(),
        steps={"restoring files": 60.04, "restoring the database": 30.0, COMPARISON: 500.0},
        findings=findings,
        rpo=1200,
        repository="cd" * 32,
        key="ef" * 32,
        target="s3://host/bucket",
        domain="ecs.example.org",
        versions={"restic": "restic 0.18.0"},
        start=start,
    )


def test_the_page_says_what_was_proven() -> None:
    documents = Documents(rows=9, recorded=8, read=3, proven=6, newer=("x",))
    good = evidence(RehearsalFindings(RECORD, compared=SUMS, documents=documents, files=10))
    page = " ".join(good.render().split())
    assert "This backup CAN be recovered." in page
    said = (
        "9 compared: 8 match the recorded SHA-256, 1 of them without a recorded SHA-256, 3 decrypted and verified now"
    )
    for words in (
        said,
        "6 verified earlier",
        "1 of them without a database row",
        "20 min",
        "SHA-256 aa",
        "ef" * 32,
        "2.0 GB",
    ):
        assert words in page
    facts = good.facts()
    assert (facts["ok"], facts["documents"], facts["decrypted"], facts["proven_before"]) == (True, 9, 3, 6)


def test_rto_is_fetching_database_and_start_and_says_what_it_leaves_out() -> None:
    known = evidence(RehearsalFindings(RECORD, documents=Documents(rows=0)))
    assert (known.facts()["rto_seconds"], known.facts()["comparison_seconds"]) == (95.0, 500.0)
    left_out = "installing the machine, building the application, comparing"
    assert f"95.0 s, without {left_out}" in known.render()
    unknown = evidence(RehearsalFindings(RECORD, documents=Documents(rows=0)), start=None)
    assert unknown.facts()["rto_seconds"] == 90.0
    assert f"90.0 s, without the start, {left_out}" in unknown.render()


def test_the_page_says_what_is_wrong_and_what_was_not_compared() -> None:
    bad = evidence(
        RehearsalFindings(replace(RECORD, sums={}), uncompared="no such model", wrong=("document x is missing",))
    )
    page = bad.render()
    flat = " ".join(page.split())
    assert "This backup can NOT be trusted." in page
    assert "- document x is missing" in page
    for table in SUMMED:
        assert re.search(rf"^{table} +not compared: nothing was recorded for it$", page, re.MULTILINE)
    assert "NOT compared: no such model" in page
    assert "Documents were NOT compared with their rows and not decrypted." in flat
    assert "verified" not in page
    assert bad.facts()["documents"] is None
    assert "nothing: the rehearsal did not get that far" in evidence(RehearsalFindings(wrong=("no",))).render()


def test_the_page_that_is_kept_says_all_of_it_in_german_too_with_english_below() -> None:
    documents = Documents(rows=9, recorded=8, read=3, proven=6, newer=("x",))
    kept = evidence(RehearsalFindings(RECORD, compared=SUMS, documents=documents, files=10))
    page = " ".join(kept.page().split())
    assert page.index("Die Sicherung LÄSST SICH wiederherstellen.") < page.index("This backup CAN be recovered.")
    assert kept.page().endswith(kept.render())
    said = "9 verglichen: 8 wie aufgezeichnet (SHA-256), 1 davon ohne aufgezeichneten SHA-256, 3 jetzt entschlüsselt"
    for words in (said, "6 früher geprüft, seither unverändert", "10, davon 1 ohne Zeile in der Datenbank", "2,0 GB"):
        assert words in page
    for words in (
        "95,0 s, ohne Installation des Servers",
        "Dateien zurückspielen 60,0 s",
        "3 Zeilen wie bei der Sicherung",
    ):
        assert words in page
    assert re.search(r"getestet am +\d\d\.05\.2030, \d\d:00:00 Uhr", page)
    assert "Binnen 28 Tagen ist jedes einmal an der Reihe." in page


def test_german_names_what_is_wrong_and_quotes_errors() -> None:
    documents = Documents(rows=2, missing=("m",), altered=("a",), unreadable={"u": "GpgError"})
    found = RehearsalFindings(RECORD, compared={}, documents=documents, wrong=("restic failed: x", *documents.wrong()))
    page = evidence(found).render(GERMAN)
    assert "Auf die Sicherung ist KEIN Verlass." in page
    lines = [line.strip("- ") for line in page.splitlines() if line.startswith("  - ")]
    assert lines == [
        "restic failed: x",
        "Dokument m fehlt",
        "Dokument a ist verändert: Es ist nicht, was aufgezeichnet wurde",
        "Dokument u lässt sich nicht entschlüsseln und prüfen: GpgError",
    ]
    assert page.count("NICHT wie bei der Sicherung: damals") == len(SUMS)
    assert "nichts: So weit kam es nicht" in evidence(RehearsalFindings(wrong=("no",))).render(GERMAN)
    unread = evidence(RehearsalFindings(RECORD, uncompared="no such model", wrong=("x",)), start=None).render(GERMAN)
    assert "NICHT verglichen: no such model" in unread and "ohne Start, Installation des Servers" in unread
    assert "Dokumente wurden NICHT mit ihren Zeilen verglichen" in " ".join(unread.split())


def test_both_languages_take_the_same_values_and_stay_in_their_columns() -> None:
    values = re.compile(r"\{\w+\}|RPO|RTO|SHA-256|\b\d+\b")
    for name, german in vars(GERMAN).items():
        english = vars(ENGLISH)[name]
        if isinstance(german, str):
            assert sorted(values.findall(german)) == sorted(values.findall(english)), name
    for words in (GERMAN, ENGLISH):
        names = (words.rpo, words.rto, words.start, words.files, *words.titles.values())
        assert max(map(len, names)) <= WIDTH
