"""Parse pgBackRest's reports on its repository."""

import json
from pathlib import Path

import pytest

from ecs_appliance.host.pgbackrest import WalArchive, archived, missing_segments, read_backups
from tests.fakes import Answer, AnsweringRunner


def segment(number: int, timeline: int = 1) -> str:
    return f"{timeline:08X}{number // 256:08X}{number % 256:08X}"


def test_damaged_backups_and_those_of_another_server_are_none() -> None:
    backup = {
        "label": "20300517-120000F",
        "type": "full",
        "timestamp": {"start": 1, "stop": 2},
        "database": {"id": 2, "repo-key": 1},
        "archive": {"start": segment(2), "stop": segment(3)},
        "error": False,
    }
    of_another = {**backup, "label": "of another server", "database": {"id": 1}}
    stanza = {
        "db": [{"id": 1}, {"id": 2}],
        "archive": [{"database": {"id": number, "repo-key": 1}, "id": f"17-{number}"} for number in (1, 2)],
        "backup": [of_another, backup, {**backup, "label": "damaged", "error": True}],
    }
    (found,) = read_backups(stanza)
    assert (found.label, found.kind, found.log, found.first) == ("20300517-120000F", "full", "17-2", segment(2))
    assert read_backups({"name": "ecs"}) == []


def test_a_gap_in_the_log_is_seen_over_the_end_of_a_file_and_of_a_timeline() -> None:
    log = [segment(number) for number in range(250, 260)]
    assert missing_segments(log, segment(250), segment(259)) == 0
    assert missing_segments(log, segment(250), segment(260)) == 1
    assert missing_segments([name for name in log if name != segment(256)], segment(250), segment(259)) == 1
    other = [segment(number, timeline=2) for number in range(259, 262)]
    assert missing_segments([*log, *other], segment(251), segment(261, timeline=2)) == 0


def test_half_written_files_are_not_archived(tmp_path: Path) -> None:
    folder = tmp_path / "archive/ecs/17-1/0000000100000000"
    folder.mkdir(parents=True)
    whole, half = f"{segment(7)}-{'a' * 40}.zst", f"{segment(8)}-{'b' * 40}.zst.pgbackrest.tmp"
    for name in (whole, half, "00000002.history"):
        (folder / name).touch()
    assert archived(tmp_path, "17-1") == {segment(7)}


@pytest.mark.parametrize(
    ("known", "command"),
    [([], "stanza-create"), ([{"id": 1, "system-id": 7}], "stanza-upgrade"), ([{"id": 1, "system-id": 8}], "")],
)
def test_a_stanza_is_only_made_where_there_is_a_need(
    known: list[dict[str, int]], command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If WAL is being archived at the time, the command is retried."""
    codes = iter((50, 50, 0))
    monkeypatch.setattr("time.sleep", lambda _: None)

    def answer(argv: list[str]) -> Answer:
        return (0, json.dumps([{"db": known}]), "") if "info" in argv else (next(codes), "", "")

    runner = AnsweringRunner(answer)
    WalArchive(runner).ensure(8)
    assert [words[-1] for words in runner.asked[1:]] == ([command] * 3 if command else [])


def test_a_restore_is_fenced_in_and_ends_what_a_killed_one_left() -> None:
    runner = AnsweringRunner(lambda _: (0, "", ""))
    WalArchive(runner).restore("20300517-120000F", ("--type=name", "--target=point"))
    before, restore, after = runner.asked
    assert before == after == ["systemctl", "stop", "appliance-restore.service"]
    assert {"--uid=postgres", "--property=PrivateNetwork=yes", "--target=point"} <= set(restore)
    assert "--property=BindPaths=/data/postgresql/17/main" in restore
    assert restore[-1] == "restore"


def test_a_backup_says_what_it_would_put_elsewhere() -> None:
    told = [{"backup": [{"tablespace": [{"destination": "/root", "name": "x"}], "link": None}]}]
    runner = AnsweringRunner(lambda _: (0, json.dumps(told), ""))
    assert WalArchive(runner).other_places("20300517-120000F") == ["/root"]
