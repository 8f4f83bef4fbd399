"""The commands of the laboratory, which its entry adds to those of the product."""

import typer

from lab.cli import demo, test


def add_commands(app: typer.Typer) -> None:
    """Add `demo` and `test` to the command line `app`."""
    app.add_typer(demo.app, name="demo")
    app.command("test", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})(test.test)
