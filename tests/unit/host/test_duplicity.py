"""What the file names in an archive tell."""

from datetime import UTC, datetime

from ecs_appliance.host.duplicity import Moment, find_gaps, find_moments, is_archive

FULL, FIRST, SECOND = "20161201T223000Z", "20161202T223001Z", "20161203T223002Z"


def full(time: str, *volumes: int, manifest: bool = True) -> dict[str, int]:
    return backup(f"duplicity-full.{time}", volumes, manifest=manifest) | {
        f"duplicity-full-signatures.{time}.sigtar.gpg": 7
    }


def increment(base: str, time: str, *volumes: int, manifest: bool = True) -> dict[str, int]:
    return backup(f"duplicity-inc.{base}.to.{time}", volumes, manifest=manifest) | {
        f"duplicity-new-signatures.{base}.to.{time}.sigtar.gpg": 7
    }


def backup(name: str, volumes: tuple[int, ...], *, manifest: bool) -> dict[str, int]:
    files = {f"{name}.vol{number}.difftar.gpg": 100 for number in volumes}
    return files | ({f"{name}.manifest.gpg": 1} if manifest else {})


def test_a_chain_can_go_back_to_each_of_its_backups() -> None:
    found = find_moments(full(FULL, 1, 2) | increment(FULL, FIRST, 1) | increment(FIRST, SECOND, 1))
    assert found == [Moment(FULL, 201), Moment(FIRST, 302), Moment(SECOND, 403)]
    assert found[0].time == datetime(2016, 12, 1, 22, 30, tzinfo=UTC)


def test_a_backup_that_was_cut_off_is_no_moment() -> None:
    cut = increment(FIRST, SECOND, 1, manifest=False)
    assert find_moments(full(FULL, 1) | increment(FULL, FIRST, 1) | cut) == [Moment(FULL, 101), Moment(FIRST, 202)]


def test_one_that_lost_a_volume_is_told_of() -> None:
    files = full(FULL, 1, 2) | increment(FULL, FIRST, 1, 4)
    assert find_moments(files) == [Moment(FULL, 201)]
    assert find_gaps(files) == [f"volume 2 of {FIRST}", f"volume 3 of {FIRST}"]
    assert find_gaps(increment(FULL, FIRST, 2, manifest=False)) == []


def test_nothing_is_built_on_a_backup_that_did_not_end() -> None:
    later = full("20170101T223000Z", 1) | increment("20170101T223000Z", "20170102T223000Z", 1)
    names = [moment.name for moment in find_moments(full(FULL, 1, manifest=False) | increment(FULL, FIRST, 1) | later)]
    assert names == ["20170101T223000Z", "20170102T223000Z"]


def test_an_archive_is_told_from_other_files() -> None:
    assert is_archive(["lost+found", f"duplicity-full.{FULL}.vol1.difftar.gpg"])
    assert is_archive(full(FULL, 1))
    assert not is_archive(["config", "data", "index", "keys", "duplicity.txt", "duplicity-full.2016.manifest"])
    assert find_moments({"readme": 3}) == []
