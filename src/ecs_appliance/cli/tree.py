"""The base classes of all commands, which lay out their help."""

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup

if TYPE_CHECKING:
    from typer.core import TyperOption

Function = TypeVar("Function", bound=Callable[..., Any])
# The end of a sentence. A capital letter or a bracket must follow, so that "e.g. " and file names are not one.
SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z(`])")


class _Layout:
    """What commands and groups have in common: help that shows what to type, not Python types."""

    def get_short_help_str(self: Any, limit: int = 45) -> str:
        """Return the complete first sentence of the help, which completion in zsh and fish shows."""
        return summary(self)

    def collect_usage_pieces(self: Any, ctx: Any) -> list[str]:
        """Return what follows the name in the usage line."""
        return usage_pieces(self)

    def format_options(self: Any, ctx: Any, formatter: Any) -> None:
        """Write the arguments and options with their help."""
        _write_parameters(self, ctx, formatter)

    def format_epilog(self: Any, ctx: Any, formatter: Any) -> None:
        """Write the example without wrapping it, so that it can be copied."""
        _write_example(self, formatter)


class Command(_Layout, TyperCommand):
    """A command."""


class Group(_Layout, TyperGroup):
    """A group of commands, which lists each command with the complete first sentence of its help."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write options, then commands."""
        super().format_options(ctx, formatter)
        self.format_commands(ctx, formatter)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands that are not hidden."""
        rows = [(name, summary(command)) for name, command in visible(self)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


AnyCommand = TyperCommand | TyperGroup


class Tree(typer.Typer):
    """A typer application of the commands and groups above, each with an example."""

    def __init__(self, *, example: str = "", **settings: Any) -> None:
        super().__init__(cls=Group, epilog=example, rich_markup_mode=None, **settings)

    def command(self, name: str | None = None, *, example: str = "", **settings: Any) -> Callable[[Function], Function]:
        """Return typer's decorator, which registers a command; `example` is the lines to type."""
        return super().command(name, cls=Command, epilog=example, **settings)


def visible(group: TyperGroup) -> Iterator[tuple[str, AnyCommand]]:
    """Yield the commands of `group` that are not hidden, each with its name."""
    for name, command in group.commands.items():
        if not command.hidden:
            yield name, command  # type: ignore[misc] # typer creates only these two classes


def walk(command: AnyCommand, path: tuple[str, ...] = ("appliance",)) -> Iterator[tuple[tuple[str, ...], AnyCommand]]:
    """Yield `command` and all commands below it that are not hidden, each with the words that call it."""
    yield path, command
    if isinstance(command, TyperGroup):
        for name, child in visible(command):
            yield from walk(child, (*path, name))


def summary(command: AnyCommand) -> str:
    """Return the first sentence of a command's help."""
    return SENTENCE_END.split(" ".join(paragraphs(command)[:1]))[0]


def paragraphs(command: AnyCommand) -> list[str]:
    """Return the paragraphs of a command's help, each as one line."""
    return [" ".join(part.split()) for part in re.split(r"\n\s*\n", command.help or "") if part.strip()]


def examples(command: AnyCommand) -> list[str]:
    """Return the lines of a command's example."""
    return (command.epilog or "").strip().splitlines()


def usage_pieces(command: AnyCommand) -> list[str]:
    """Return the words of a command's usage: `[OPTIONS]`, then its arguments, with brackets if they are optional."""
    pieces = ["[OPTIONS]"]
    for argument in arguments(command):
        name = argument_name(argument)
        pieces.append(name if argument.required else f"[{name}]")
    if isinstance(command, TyperGroup):
        pieces.append("[COMMAND]" if command.invoke_without_command else "COMMAND")
    return pieces


def arguments(command: AnyCommand) -> list[TyperArgument]:
    """Return a command's arguments that are not hidden."""
    return [one for one in command.params if isinstance(one, TyperArgument) and not one.hidden]


def options(command: AnyCommand, ctx: Any) -> "list[TyperOption]":
    """Return a command's options that are not hidden; `--help` is the last."""
    return [
        one  # type: ignore[misc]
        for one in command.get_params(ctx)
        if one.param_type_name == "option" and one.get_help_record(ctx) is not None
    ]


def argument_name(argument: TyperArgument) -> str:
    """Return the name of an argument in the usage, with dots if it can be repeated."""
    name = argument.metavar or (argument.name or "").upper()
    return name if argument.nargs == 1 else f"{name}..."


def records(command: AnyCommand, ctx: Any) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Return the arguments and the options, each with its help."""
    named = [(argument_name(one), (one.get_help_record(ctx) or ("", ""))[1]) for one in arguments(command)]
    return named, [one.get_help_record(ctx) or ("", "") for one in options(command, ctx)]


def _write_parameters(command: AnyCommand, ctx: Any, formatter: Any) -> None:
    for heading, rows in zip(("Arguments", "Options"), records(command, ctx), strict=True):
        if rows:
            with formatter.section(heading):
                formatter.write_dl(rows)


def _write_example(command: AnyCommand, formatter: Any) -> None:
    lines = examples(command)
    if lines:
        with formatter.section("Examples" if len(lines) > 1 else "Example"):
            for line in lines:
                formatter.write(f"  {line}\n")
