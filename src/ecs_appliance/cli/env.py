"""`appliance env`: make, check, show and activate the configuration. Everything but `update` runs on any laptop."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="The configuration of the appliance: env.yml.")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
STDIN = "-"
LOCK_WAIT = 60


@app.command("check")
def check_file(
    file: Annotated[str, typer.Argument(help="The env.yml; - reads standard input.")],
    strict: Annotated[bool, typer.Option("--strict", help="Warnings, as of unknown keys, are errors.")] = False,
    as_json: AsJson = False,
) -> None:
    """Tell all that is wrong with an env.yml; the exit code is 3 where it cannot be used."""
    from ecs_appliance.core.errors import ExitCode
    from ecs_appliance.env import problem
    from ecs_appliance.env.check import check

    checked = check(_read(file), strict=strict)
    if as_json:
        typer.echo(problem.as_json(checked.problems))
    else:
        typer.echo(problem.report(checked.problems, file) or f"{file}: no problem found")
    raise typer.Exit(ExitCode.OK if checked.ok else ExitCode.INVALID_ENV)


@app.command("create")
def create_file(
    domain: Annotated[str, typer.Argument(help="Full host name of the machine and the site, or localhost.")],
    target: Annotated[str, typer.Argument(help="The new file, or a folder for it.")],
    template: Annotated[Path | None, typer.Option(help="Use this template instead of the own one.")] = None,
    extra: Annotated[Path | None, typer.Option(help="Merge this YAML over the template.")] = None,
) -> None:
    """Write a new env.yml with fresh secrets; a file that is there is never overwritten."""
    from ecs_appliance.core.runner import SystemRunner
    from ecs_appliance.env.create import create

    path = create(domain, target, SystemRunner(), template=template, extra=extra)
    typer.echo(f"created: {path}")
    typer.echo(f"  → edit it, publish the DNS records in its head, then: appliance env check --strict {path}")


@app.command("diff")
def diff_files(
    old: Annotated[str, typer.Argument(help="An env.yml; - reads standard input.")],
    new: Annotated[str, typer.Argument(help="Another one; - reads standard input.")],
    as_json: AsJson = False,
) -> None:
    """Tell what two files say differently, key by key; of secrets and unknown keys only that they differ.

    Comments, order and ways of writing do not count. The exit code is 0 whether something differs or not, and 3 where
    a file is no YAML.
    """
    from ecs_appliance.env import diff

    if old == new == STDIN:
        raise typer.BadParameter("only one of the two can be standard input")
    found = diff.diff(_read(old), _read(new), names=(old, new))
    typer.echo(diff.as_json(found) if as_json else diff.told(found))


@app.command("rotate")
def rotate_secret(
    file: Annotated[Path, typer.Argument(help="The env.yml.")],
    key: Annotated[str, typer.Argument(help="Such as appliance.dkim.key; a wrong one lists all.")],
    keep_old: Annotated[
        Path | None, typer.Option(metavar="NEW_FILE", help="Keep the old value here: data needs that of a PGP key.")
    ] = None,
) -> None:
    """Put a fresh secret in the place of an old one; comments, order and all other values stay as they are.

    Keys: appliance.dkim.key, ecs.settings.SECRET_KEY, .REGISTRATION_SECRET, .PASSWORD_RESET_SECRET, and with --keep-old
    appliance.backup.encrypt, ecs.vault_encrypt, ecs.vault_sign.
    """
    from ecs_appliance.core.runner import SystemRunner
    from ecs_appliance.env.rotate import rotate

    rotated = rotate(file, key, SystemRunner(), keep_old=keep_old)
    typer.echo(f"rotated: {key} in {rotated.file}")
    for line in rotated.told:
        typer.echo(f"  {line}")
    typer.echo(f"  → print it anew: appliance env package {rotated.file}")
    typer.echo("  → activate it: on the machine, as /app/env.yml: systemctl start appliance-update")


@app.command("update")
def update_active() -> None:
    """Find the environment, test it, and write it to /run/active-env.yml."""
    from ecs_appliance.core.locks import locked
    from ecs_appliance.core.paths import Paths
    from ecs_appliance.core.runner import SystemRunner
    from ecs_appliance.env.activate import activate, told

    paths = Paths()
    with locked(paths.lock, "env update", wait=LOCK_WAIT):
        activated = activate(paths, SystemRunner())
    for line in told(activated, paths):
        typer.echo(line)


@app.command("show")
def show_values(
    file: Annotated[Path | None, typer.Argument(help="An env.yml; without it, the active one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show every key with the value that holds, defaults included; secrets are masked."""
    from ecs_appliance.core.paths import Paths
    from ecs_appliance.env.activate import load_active
    from ecs_appliance.env.check import load
    from ecs_appliance.env.show import show

    values = show(load(file) if file else load_active(Paths()))
    if as_json:
        typer.echo(json.dumps(values, indent=2, ensure_ascii=False))
        return
    width = max(len(key) for key in values)
    for key, value in values.items():
        typer.echo(f"{key:{width}}  {value}".rstrip())


@app.command("flatten")
def flatten_file(  # noqa: PLR0917 # typer reads options off the signature
    trees: Annotated[str, typer.Argument(help="Top-level keys, separated by commas, or . for all.")],
    file: Annotated[str, typer.Option(help="The YAML file; - reads standard input.")] = STDIN,
    prefix: Annotated[str, typer.Option(help="Leads each line.")] = "",
    postfix: Annotated[str, typer.Option(help="Ends each line.")] = "",
    assign: Annotated[str, typer.Option(help="Stands between key and value.")] = "=",
    combine: Annotated[str, typer.Option(help="Joins the levels of a key.")] = "_",
) -> None:
    """Print a YAML file as lines of shell assignments."""
    from ecs_appliance.env.document import decode
    from ecs_appliance.env.flatten import Style, absent, flatten
    from ecs_appliance.env.tree import parse

    tree = parse(decode(_read(file)), file)
    for name in absent(tree, trees):
        typer.echo(f'Error: key "{name}" not found in data', err=True)
    for line in flatten(tree, trees, Style(prefix, postfix, assign, combine)):
        typer.echo(line)


@app.command("reference")
def print_reference(
    schema: Annotated[bool, typer.Option("--schema/--markdown", help="JSON Schema, or a table of all keys.")] = False,
) -> None:
    """Print the documentation of env.yml that is generated from its model."""
    from ecs_appliance.env.reference import as_markdown, as_schema

    typer.echo(as_schema() if schema else as_markdown(), nl=False)


def _read(file: str) -> bytes:
    from ecs_appliance.env.document import LARGEST, read_start

    return sys.stdin.buffer.read(LARGEST + 1) if file == STDIN else read_start(Path(file))
