"""The backup password derived for old files is the one that public tools derive."""

from pathlib import Path

from ecs_appliance.core.runner import SystemRunner
from ecs_appliance.env.backup_password import backup_password
from ecs_appliance.env.check import load

ROOT = Path(__file__).parents[3]
PREDECESSOR = ROOT / "tests/fixtures/env/accepted/predecessor.yml"
MANUAL = ROOT / "docs/manual.md"
MARK = "gpg --dearmor"


def test_the_command_of_the_manual_derives_the_same(tmp_path: Path) -> None:
    (command,) = [line.strip() for line in MANUAL.read_text().splitlines() if MARK in line and "sha256sum" in line]
    (tmp_path / "env.yml").write_text(PREDECESSOR.read_text())
    environment = {"GNUPGHOME": str(tmp_path)}
    derived = SystemRunner().run(["sh", "-euc", command], timeout=30, cwd=tmp_path, env=environment).stdout.strip()
    assert derived == backup_password(load(PREDECESSOR).appliance.backup)
    assert len(derived) == 64


def test_a_password_that_is_given_counts() -> None:
    backup = load(PREDECESSOR).appliance.backup
    given = backup.model_copy(update={"password": type(backup.encrypt)("given")})
    assert backup_password(given) == "given"
