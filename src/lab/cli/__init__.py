"""The commands of the laboratory, which its entry point adds to those of the product."""

from collections.abc import Callable
from typing import Any, Protocol

from lab.cli import demo, test


class CommandTree(Protocol):
    """The product's tree of commands, which lays out their help; `lab` gets it from its entry point."""

    def __init__(self, *, example: str, **settings: Any) -> None: ...
    def callback(self, *, invoke_without_command: bool) -> Callable[..., Any]: ...
    def command(self, name: str, *, example: str, **settings: Any) -> Callable[..., Any]: ...
    def add_typer(self, group: Any, /, *, name: str) -> None: ...


def add_commands(app: CommandTree) -> None:
    """Add `demo` and `test` to the command line `app`."""
    group = type(app)(help=demo.HELP, example=demo.EXAMPLE)
    group.callback(invoke_without_command=True)(demo.demo)
    group.command("status", example="appliance demo status")(demo.status)
    # Options after COMMAND are its own.
    group.command(
        "exec", example="appliance demo exec -- systemctl --failed", context_settings={"allow_interspersed_args": False}
    )(demo.execute)
    group.command("shell", example="appliance demo shell")(demo.shell)
    group.command("logs", example="appliance demo logs --follow")(demo.logs)
    group.command("start", example="appliance demo start")(demo.start)
    group.command("stop", example="appliance demo stop")(demo.stop)
    group.command("destroy", example="appliance demo destroy --name old")(demo.destroy)
    app.add_typer(group, name="demo")
    # pytest's options are passed on.
    settings = {"ignore_unknown_options": True, "allow_interspersed_args": False}
    app.command("test", example=test.EXAMPLE, context_settings=settings)(test.test)
