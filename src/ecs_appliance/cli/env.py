"""`appliance env`: create, check, print and activate env.yml. All commands except `update` run on any laptop."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from ecs_appliance.cli import confirm, paper
from ecs_appliance.cli.confirm import Yes
from ecs_appliance.cli.display import AsJson
from ecs_appliance.cli.tree import Tree

app = Tree(
    no_args_is_help=True,
    help="Create, check, print and activate env.yml.",
    example="appliance env create www.example.org /app/env.yml\nappliance env check --strict /app/env.yml",
)

STDIN = "-"
LOCK_WAIT = 60


def _rotatable_keys() -> list[str]:
    """Return the keys that `rotate` accepts, for completion."""
    from ecs_appliance.env.rotate import ROTATABLE

    return list(ROTATABLE)


@app.command("check", example="appliance env check --strict /app/env.yml")
def check_file(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The env.yml to check; - reads standard input.")],
    strict: Annotated[bool, typer.Option("--strict", help="Treat warnings, such as unknown keys, as errors.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check an env.yml and report every problem in it.

    The exit code is 0 if the file is valid and 3 if it is not.
    """
    from ecs_appliance.core.errors import ExitCode
    from ecs_appliance.env import diagnostics
    from ecs_appliance.env.check import check

    checked = check(_read(file), strict=strict)
    if as_json:
        typer.echo(diagnostics.as_json(checked.problems))
    else:
        typer.echo(diagnostics.report(checked.problems, file) or f"{file}: no problem found")
    raise typer.Exit(ExitCode.OK if checked.ok else ExitCode.INVALID_ENV)


@app.command("create", example="appliance env create www.example.org /app/env.yml")
def create_file(
    domain: Annotated[
        str, typer.Argument(metavar="DOMAIN", help="Full host name of the machine and the site, or localhost.")
    ],
    target: Annotated[str, typer.Argument(metavar="TARGET", help="The file to create, or a directory for it.")],
    template: Annotated[
        Path | None, typer.Option("--template", metavar="FILE", help="Use this template instead of the built-in one.")
    ] = None,
    extra: Annotated[
        Path | None, typer.Option("--extra", metavar="FILE", help="Merge this YAML file over the template.")
    ] = None,
) -> None:
    """Create an env.yml with fresh secrets.

    An existing file is never overwritten.
    """
    from ecs_appliance.core.runner import SystemRunner
    from ecs_appliance.env.create import create

    path = create(domain, target, SystemRunner(), template=template, extra=extra)
    typer.echo(f"created: {path}")
    typer.echo(f"  → edit it, publish the DNS records at its top, then: appliance env check --strict {path}")


@app.command("diff", example="appliance env diff /run/active-env.yml /app/env.yml")
def diff_files(
    old: Annotated[str, typer.Argument(metavar="OLD", help="The earlier env.yml; - reads standard input.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The later env.yml; - reads standard input.")],
    as_json: AsJson = False,
) -> None:
    """Compare two env.yml files key by key.

    Comments, order and formatting are ignored. Secrets and unknown keys are reported without their values. The exit
    code is 0 whether or not the files differ, and 3 if a file is not valid YAML.
    """
    from ecs_appliance.env import diff

    if old == new == STDIN:
        raise typer.BadParameter("only one of the two can be standard input")
    found = diff.diff(_read(old), _read(new), names=(old, new))
    typer.echo(diff.as_json(found) if as_json else diff.format_differences(found))


@app.command("rotate", example="appliance env rotate /app/env.yml ecs.settings.SECRET_KEY")
def rotate_secret(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The env.yml to change.")],
    key: Annotated[
        str, typer.Argument(metavar="KEY", help="One of the keys listed above.", autocompletion=_rotatable_keys)
    ],
    keep_old: Annotated[
        Path | None, typer.Option("--keep-old", metavar="FILE", help="Write the old value to this new file.")
    ] = None,
    yes: Yes = False,
) -> None:
    """Replace a secret in an env.yml with a fresh one.

    Comments, order and all other values are kept.

    The old value of these keys is lost, so the command asks for confirmation unless --yes is given:
    appliance.dkim.key, ecs.settings.SECRET_KEY, ecs.settings.REGISTRATION_SECRET and
    ecs.settings.PASSWORD_RESET_SECRET.

    These keys require --keep-old, since data depends on the old value: appliance.backup.encrypt, ecs.vault_encrypt and
    ecs.vault_sign.
    """
    from ecs_appliance.core.runner import SystemRunner
    from ecs_appliance.env.rotate import LOST, ROTATABLE, rotate

    if keep_old is None and key in ROTATABLE and key not in LOST:
        # `rotate` refuses all other keys, whatever the answer would be.
        confirm.confirm(f"this replaces {key} in {file}, and the old value is lost", yes=yes)
    rotated = rotate(file, key, SystemRunner(), keep_old=keep_old)
    typer.echo(f"rotated: {key} in {rotated.file}")
    for line in rotated.notices:
        typer.echo(f"  {line}")
    typer.echo(f"  → print it again: appliance env package {rotated.file}")
    typer.echo("  → activate it: copy it to /app/env.yml on the machine, then: systemctl start appliance-update")


@app.command("update", example="appliance env update")
def update_active() -> None:
    """Find, check and activate the environment.

    The active environment is written to /run/active-env.yml.
    """
    from ecs_appliance.core.locks import locked
    from ecs_appliance.core.paths import Paths
    from ecs_appliance.core.runner import SystemRunner
    from ecs_appliance.env.activation import activate, describe

    paths = Paths()
    with locked(paths.lock, "env update", wait=LOCK_WAIT):
        activated = activate(paths, SystemRunner())
    for line in describe(activated, paths):
        typer.echo(line)


@app.command("show", example="appliance env show /app/env.yml")
def show_values(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="The env.yml to show instead of the active one.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show every key with its value, including defaults.

    Secrets are masked.
    """
    from ecs_appliance.core.paths import Paths
    from ecs_appliance.env.activation import load_active
    from ecs_appliance.env.check import load
    from ecs_appliance.env.show import show

    values = show(load(file) if file else load_active(Paths()))
    if as_json:
        typer.echo(json.dumps(values, indent=2, ensure_ascii=False))
        return
    width = max(len(key) for key in values)
    for key, value in values.items():
        typer.echo(f"{key:{width}}  {value}".rstrip())


@app.command("flatten", example="appliance env flatten ecs,appliance --file /app/env.yml --prefix 'export '")
def flatten_file(  # noqa: PLR0917 # typer derives options from the parameters
    trees: Annotated[str, typer.Argument(metavar="KEYS", help="Top-level keys, separated by commas, or . for all.")],
    file: Annotated[
        str, typer.Option("--file", metavar="FILE", help="Read this YAML file; - reads standard input.")
    ] = STDIN,
    prefix: Annotated[str, typer.Option("--prefix", metavar="TEXT", help="Begin each line with this text.")] = "",
    postfix: Annotated[str, typer.Option("--postfix", metavar="TEXT", help="End each line with this text.")] = "",
    assign: Annotated[
        str, typer.Option("--assign", metavar="TEXT", help="Write this text between key and value.")
    ] = "=",
    combine: Annotated[
        str, typer.Option("--combine", metavar="TEXT", help="Join the levels of a key with this text.")
    ] = "_",
) -> None:
    """Print a YAML file as lines of shell assignments."""
    from ecs_appliance.env.decoding import decode
    from ecs_appliance.env.flatten import Style, absent, flatten
    from ecs_appliance.env.tree import parse

    tree = parse(decode(_read(file)), file)
    for name in absent(tree, trees):
        typer.echo(f'Error: key "{name}" not found in data', err=True)
    for line in flatten(tree, trees, Style(prefix, postfix, assign, combine)):
        typer.echo(line)


@app.command("reference", example="appliance env reference --schema")
def print_reference(
    schema: Annotated[
        bool, typer.Option("--schema/--markdown", help="Print a JSON Schema or a Markdown table.")
    ] = False,
) -> None:
    """Print the reference of all keys of env.yml."""
    from ecs_appliance.env.reference import as_markdown, as_schema

    typer.echo(as_schema() if schema else as_markdown(), nl=False)


app.command("package", example=paper.PACKAGE_EXAMPLE)(paper.package_file)
app.command("scan", example="appliance env scan scan*.png --output env.yml")(paper.scan_files)
app.command("verify-paper", example="appliance env verify-paper scan*.png --against /app/env.yml")(paper.verify_paper)


def _read(file: str) -> bytes:
    from ecs_appliance.env.decoding import LARGEST, read_start

    return sys.stdin.buffer.read(LARGEST + 1) if file == STDIN else read_start(Path(file))
