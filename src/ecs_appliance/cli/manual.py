"""Manual pages, generated from the same definitions as the help of the commands."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, cast

import typer
from typer.core import TyperGroup

from ecs_appliance.cli import tree
from ecs_appliance.cli.completion import SCRIPTS
from ecs_appliance.core.errors import ExitCode

SECTION = 8
FOLDER = f"man/man{SECTION}"
# What each exit code means; docs/manual.md has the details.
EXIT_STATUS = {
    ExitCode.OK: "The command succeeded.",
    ExitCode.FAILED: "The command failed, or found a problem.",
    ExitCode.USAGE: "The command line is wrong. For status: the site is down.",
    ExitCode.INVALID_ENV: "The env.yml is invalid.",
    ExitCode.REFUSED: "A precondition is not met, or confirmation is missing; nothing was changed.",
    ExitCode.BUSY: "Another command holds the lock.",
    ExitCode.NOT_RUNNING: "A required service or machine is not running.",
    ExitCode.TIMEOUT: "A time limit was exceeded.",
    ExitCode.GAVE_UP: "A unit gave up; systemd does not restart it.",
}


def write_manual(
    folder: Annotated[Path, typer.Argument(metavar="DIRECTORY", help="The directory, such as ~/.local/share.")],
) -> None:
    """Write the manual pages and the completion scripts into a directory.

    On an appliance, they are installed in /usr/local/share. Pages of commands that no longer exist are removed.
    """
    from ecs_appliance.cli.main import app
    from ecs_appliance.core.files import write_atomic

    files = render_files(cast("TyperGroup", typer.main.get_command(app)))
    for old in (folder / FOLDER).glob(f"appliance*.{SECTION}"):
        if f"{FOLDER}/{old.name}" not in files:
            old.unlink()
    for name, text in files.items():
        write_atomic(folder / name, text, mode=0o644)
    typer.echo(f"{len(files)} files written to {folder}")


def render_files(root: tree.AnyCommand) -> dict[str, str]:
    """Return the files for /usr/local/share by path: completion scripts, and a page for each command not hidden."""
    pages = {f"{FOLDER}/{page_name(path)}.{SECTION}": render_page(path, command) for path, command in tree.walk(root)}
    return {**pages, **SCRIPTS}


def page_name(path: Iterable[str]) -> str:
    """Return the name of the page of the command that `path` calls, such as `appliance-backup-run`."""
    return "-".join(path)


def render_page(path: tuple[str, ...], command: tree.AnyCommand) -> str:
    """Return the manual page of `command`, which `path` calls, in the language of man(7)."""
    return "\n".join(_lines(path, command)) + "\n"


def _lines(path: tuple[str, ...], command: tree.AnyCommand) -> Iterator[str]:
    # Named by the whole path and without the terminal's width, so that a page is the same wherever it is generated.
    context = typer.Context(command, info_name=" ".join(path))
    yield f'.TH {escape(page_name(path).upper())} {SECTION} "" "ecs\\-appliance" "ECS appliance"'
    yield from (".SH NAME", f"{escape(page_name(path))} \\- {escape(_title(command))}")
    usage = " ".join(tree.usage_pieces(command))
    yield from (".SH SYNOPSIS", f".B {escape(' '.join(path))}", escape(usage))
    yield ".SH DESCRIPTION"
    for number, paragraph in enumerate(tree.paragraphs(command)):
        yield from ([".PP"] if number else [])
        yield escape(paragraph)
    arguments, options = tree.records(command, context)
    yield from _terms("COMMANDS", _children(command))
    yield from _terms("ARGUMENTS", arguments)
    yield from _terms("OPTIONS", options)
    yield from _terms("EXIT STATUS", _exit_status(path))
    yield from (".SH EXAMPLES", ".nf", *map(escape, tree.examples(command)), ".fi")
    yield from (".SH SEE ALSO", ",\n".join(f".BR {escape(name)} ({SECTION})" for name in _related(path, command)))


def _title(command: tree.AnyCommand) -> str:
    """Return the summary in the style of manual pages, without the capital letter and the full stop."""
    text = tree.summary(command).removesuffix(".")
    return text[0].lower() + text[1:]


def _terms(heading: str, rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    for number, (term, text) in enumerate(rows):
        yield from ([] if number else [f".SH {heading}"])
        yield from (".TP", f".B {escape(term)}", escape(re.sub(r"\s+", " ", text)))


def _children(command: tree.AnyCommand) -> list[tuple[str, str]]:
    if not isinstance(command, TyperGroup):
        return []
    return [(name, tree.summary(child)) for name, child in tree.visible(command)]


def _exit_status(path: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return the exit codes for the root's page, empty for others: all commands share them."""
    return [(str(int(code)), text) for code, text in EXIT_STATUS.items()] if len(path) == 1 else []


def _related(path: tuple[str, ...], command: tree.AnyCommand) -> list[str]:
    parent = [page_name(path[:-1])] if len(path) > 1 else []
    children = [page_name((*path, name)) for name, _ in _children(command)]
    return parent + children


def escape(text: str) -> str:
    """Return `text` escaped so that roff shows it unchanged, and options can be copied from the page."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    escaped = escaped.replace("~", "\\(ti").replace("^", "\\(ha").replace('"', "\\(dq")
    return f"\\&{escaped}" if escaped.startswith(".") else escaped
