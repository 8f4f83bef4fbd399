"""The command line of users and certificates, as far as it decides itself."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from ecs_appliance.app.users import ArgumentError
from ecs_appliance.cli.user import cert, user
from ecs_appliance.core.errors import RefusedError

CLI = CliRunner()
APP = typer.Typer()
APP.add_typer(user, name="user")
APP.add_typer(cert, name="cert")
COMMANDS = Path(__file__).parents[3] / "commands"


@pytest.mark.parametrize(
    "words",
    [
        ["user", "create", "nobody", "A", "B", "f"],
        ["user", "create", "a@example.org", "A", "B", "x"],
        ["cert", "create", "a@example.org", "office", "4000"],
        ["cert", "create", "--sendto", "nobody", "a@example.org", "office"],
    ],
)
def test_nonsense_is_refused_before_anything_is_asked(words: list[str]) -> None:
    assert isinstance(CLI.invoke(APP, words).exception, ArgumentError)


def test_certificate_does_not_overwrite_a_file(tmp_path: Path) -> None:
    (tmp_path / "office.p12").write_text("precious")
    words = ["cert", "create", "a@example.org", "office", "7", "--output", str(tmp_path / "office.p12")]
    assert isinstance(CLI.invoke(APP, words).exception, RefusedError)
    assert (tmp_path / "office.p12").read_text() == "precious"


@pytest.mark.parametrize(
    ("name", "command"),
    [("create-internal-user.sh", "user create"), ("create-client-cert.sh", "cert create")],
)
def test_old_names_lead_to_the_command(name: str, command: str) -> None:
    script = COMMANDS / name
    assert script.stat().st_mode & 0o111
    assert script.read_text().endswith(f'\nexec /usr/local/bin/appliance {command} "$@"\n')
