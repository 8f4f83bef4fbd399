"""The complete output of a command is kept, and that of the previous one."""

from pathlib import Path

from ecs_appliance.core.log import register_secret
from ecs_appliance.core.transcript import transcript


def test_lines_are_kept_masked_and_passed_on(tmp_path: Path) -> None:
    register_secret("hunter22")
    seen: list[str] = []
    file = tmp_path / "logs/build.log"
    for number in range(3):
        with transcript(file, seen.append) as take:
            take(f"{number}: password hunter22")
    assert file.read_text() == "2: password *****\n"
    assert file.with_name("build.log.1").read_text() == "1: password *****\n"
    assert file.stat().st_mode & 0o777 == 0o600
    assert len(seen) == 3


def test_a_folder_that_takes_none_costs_no_command(tmp_path: Path) -> None:
    (tmp_path / "logs").touch()
    seen: list[str] = []
    with transcript(tmp_path / "logs/build.log", seen.append) as take:
        take("line")
    assert seen == ["line"]
