"""The handling of restic's output."""

import json
from pathlib import Path

import pytest

from ecs_appliance.core.errors import ApplianceError, BusyError
from ecs_appliance.core.runner import CommandError
from ecs_appliance.host.restic import Policy, Repository
from tests.fakes import Answer, AnsweringRunner

SUMMARY = {
    "message_type": "summary",
    "snapshot_id": "aa11",
    "total_files_processed": 3,
    "total_bytes_processed": 2000,
    "data_added_packed": 100,
}


class Talking(AnsweringRunner):
    """Print `lines` as restic does while it works, and exit with `code`."""

    def __init__(self, code: int, *lines: object) -> None:
        self.lines = [json.dumps(line) for line in lines]
        super().__init__(lambda _: (code, "", ""))

    def run(self, *args, **options):  # type: ignore[no-untyped-def] # as the one above
        for line in self.lines if options.get("on_line") else ():
            options["on_line"](line)
        return super().run(*args, **options)


def repository(runner: AnsweringRunner) -> Repository:
    return Repository(runner, "/target", "file:///target", "word", Path("/cache"))


def save(runner: AnsweringRunner, heard: list[object]) -> object:
    return repository(runner).save([Path("/data")], host="h", tags=["t"], excludes=["*.tmp"], on_progress=heard.append)


def test_a_snapshot_says_what_it_holds_and_what_it_lacks() -> None:
    error = {"message_type": "error", "item": "/data/x", "during": "archival"}
    gone = {**error, "item": "/data/y", "error": {"message": "lstat /data/y: no such file or directory"}}
    heard: list[object] = []
    made = save(Talking(3, error, gone, error, SUMMARY), heard)
    assert vars(made) == {"id": "aa11", "files": 3, "size": 2000, "added": 100, "unread": ("/data/x",)}
    assert len(heard) == 4


def test_no_snapshot_is_an_error_though_restic_is_content() -> None:
    with pytest.raises(ApplianceError, match="no snapshot"):
        save(Talking(0), [])


def test_what_could_not_be_restored_is_named() -> None:
    lost = {"message_type": "error", "item": "/ecs-storage-vault/a/b", "error": {"message": "damaged"}}
    answer = repository(Talking(1, lost, SUMMARY)).restore("aa11", Path("/data"), Path("/data"), lambda _: None)
    assert answer == ("/ecs-storage-vault/a/b",)


def test_a_restore_that_fails_without_a_name_fails() -> None:
    with pytest.raises(CommandError):
        repository(Talking(1)).restore("aa11", Path("/data"), Path("/data"), lambda _: None)
    unnamed = {"message_type": "error", "error": {"message": "no space left"}}
    lost = {"message_type": "error", "item": "/ecs-storage-vault/a/b", "error": {"message": "damaged"}}
    for code, lines in ((1, [lost]), (-9, [lost, SUMMARY])):
        with pytest.raises(CommandError):
            repository(Talking(code, *lines)).restore("aa11", Path("/data"), Path("/data"), lambda _: None)
    with pytest.raises(CommandError):
        repository(Talking(1, unnamed)).restore("aa11", Path("/data"), Path("/data"), lambda _: None)


@pytest.mark.parametrize(("code", "error"), [(11, BusyError), (1, CommandError)])
def test_a_lock_of_somebody_who_lives_is_no_failure_of_ours(code: int, error: type[Exception]) -> None:
    with pytest.raises(error):
        repository(AnsweringRunner(lambda _: (code, "", ""))).snapshots()


def test_forget_tells_which_ones_went() -> None:
    out = json.dumps([{"keep": [{"id": "k"}], "remove": [{"id": "a"}, {"id": "b"}]}, {"remove": None}])

    def answer(argv: list[str]) -> Answer:
        return 0, f"{out}\nloading indexes...\n" if "forget" in argv else "", ""

    assert repository(AnsweringRunner(answer)).forget(Policy(1, 0, 0, 0, 7)) == ("a", "b")
    assert repository(AnsweringRunner(lambda _: (0, "", ""))).forget(Policy(1, 0, 0, 0, 7)) == ()


def test_what_would_be_forgotten_is_named_and_kept() -> None:
    runner = AnsweringRunner(lambda _: (0, json.dumps([{"keep": [{"id": "k"}], "remove": [{"id": "a"}]}]), ""))
    assert repository(runner).plan_forget(Policy(1, 0, 0, 0, 7)) == ("a",)
    (asked,) = runner.asked
    assert {"forget", "--dry-run"} < set(asked)


def test_a_failure_is_told_in_words() -> None:
    """Without the JSON around it, and without the progress reports before it."""
    said = [
        {"message_type": "status", "percent_done": 0.4, "total_files": 3},
        {"message_type": "error", "error": {"message": "input/output error"}, "during": "archival", "item": "/data/x"},
        {"message_type": "exit_error", "code": 1, "message": "Fatal: unable to save snapshot"},
    ]
    answer = 1, "\n".join(["started", *map(json.dumps, said)]), ""
    with pytest.raises(CommandError) as caught:
        repository(AnsweringRunner(lambda _: answer)).check()
    assert caught.value.output == "started\n/data/x: input/output error\nFatal: unable to save snapshot"
    assert caught.value.message.partition("\n")[2] == caught.value.output
    assert "status" not in caught.value.message
