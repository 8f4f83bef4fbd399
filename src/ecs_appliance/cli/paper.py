"""`appliance env package`, `scan` and `verify-paper`: print env.yml on paper, and read it back."""

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ecs_appliance.cli.display import AsJson

if TYPE_CHECKING:
    from ecs_appliance.offline_copy.delivery import SmtpOptions
    from ecs_appliance.offline_copy.package import Package

Files = Annotated[list[Path], typer.Argument(metavar="FILE", help="PDFs and pictures, in any order.")]
PACKAGE_EXAMPLE = "appliance env package /app/env.yml\nappliance env package /app/env.yml --split 2of3"


def package_file(  # noqa: PLR0917 # typer derives options from the parameters
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="The env.yml to package.")] = None,
    split: Annotated[
        str, typer.Option("--split", metavar="KofN", help="Print N shares, any K of which suffice, such as 2of3.")
    ] = "",
    smtp: Annotated[
        str,
        typer.Option(
            "--smtp",
            metavar="URL",
            help="Mail the archive to the addresses in emailto.txt through smtp[s]://[user@]host[:port].",
        ),
    ] = "",
    smtp_password: Annotated[
        Path | None,
        typer.Option(
            "--smtp-password",
            metavar="FILE",
            help="Read the mail server's password from this file, not from $ECS_SMTP_PASSWORD.",
        ),
    ] = None,
    smtp_ca: Annotated[
        Path | None,
        typer.Option("--smtp-ca", metavar="FILE", help="Trust only the authorities in this file for the mail server."),
    ] = None,
    mail_from: Annotated[
        str, typer.Option("--mail-from", metavar="EMAIL", help="Send the mail from this address.")
    ] = "",
    unchecked: Annotated[bool, typer.Option("--unchecked", help="Package the file even if it is invalid.")] = False,
    requirements: Annotated[bool, typer.Option("--requirements", help="Only report missing programs.")] = False,
    as_json: AsJson = False,
) -> None:
    """Create a printable PDF, a disc image and an encrypted archive.

    They are written next to env.yml, the archive only if there is a gpgkeys.txt. A machine that boots with the disc
    image attached finds its env.yml there. The PDF is read back before success is reported.
    """
    from ecs_appliance.cli.progress import progress as shown
    from ecs_appliance.core.runner import SystemRunner
    from ecs_appliance.offline_copy.delivery import deliver, recipients_of
    from ecs_appliance.offline_copy.package import package
    from ecs_appliance.paper.split import read_scheme

    if requirements:
        missing = _requirements()
        typer.echo(json.dumps({"missing": missing}) if as_json else "\n".join(missing) or "nothing is missing")
        return
    if file is None:
        raise typer.BadParameter("name the env.yml", param_hint="FILE")
    scheme = read_scheme(split) if split else None
    post = _post(smtp, smtp_password, smtp_ca, mail_from) if smtp else None
    recipients = recipients_of(file) if post else ()
    with shown("packaging") as progress:
        made = package(file, SystemRunner(), scheme=scheme, unchecked=unchecked, progress=progress)
    if not as_json:
        typer.echo("\n".join(_package_lines(made)))
    mailed: tuple[str, ...] = ()
    try:
        if post:
            with shown(f"mailing to {len(recipients)} addresses"):
                mailed = deliver(made, recipients, post).accepted
    finally:
        # The package exists, even if the mail failed.
        if as_json:
            typer.echo(json.dumps(_package_as_json(made, mailed), indent=2))
    if not as_json:
        typer.echo("\n".join(_mail_lines(file, mailed) + _next_steps(made, file)))


def scan_files(
    files: Files,
    output: Annotated[
        Path,
        typer.Option("--output", metavar="FILE", help="Write to this new file, compressed if its name ends with .gz."),
    ],
    as_json: AsJson = False,
) -> None:
    """Recover an env.yml from scans or photos of its print.

    An existing file is never overwritten.
    """
    from ecs_appliance.cli.progress import progress as shown
    from ecs_appliance.paper.pictures import on_disk
    from ecs_appliance.paper.scan import scan

    with shown("reading") as progress:
        found = scan([on_disk(file) for file in files], output, progress=progress)
    label = found.label
    if as_json:
        described = {"output": str(output), "bytes": len(found.data), "codes": found.codes, "skipped": found.skipped}
        if label:
            described |= {"domain": label.name, "modified": label.modified.isoformat()}
        typer.echo(json.dumps(described))
        return
    of = f" of {label.name}, {label.modified:%Y-%m-%d %H:%M} UTC" if label else ""
    typer.echo(f"recovered: {output}{of}  ({len(found.data):,} bytes of {found.codes} codes)")
    for problem in found.skipped:
        typer.echo(f"skipped:   {problem}")
    typer.echo(f"  → appliance env check {shlex.quote(str(output))}")


def verify_paper(
    files: Files,
    against: Annotated[
        Path, typer.Option("--against", metavar="FILE", help="The env.yml that should be on the paper.")
    ],
    as_json: AsJson = False,
) -> None:
    """Check that a PDF, or scans of its print, match an env.yml."""
    from ecs_appliance.cli.progress import progress as shown
    from ecs_appliance.env.decoding import read
    from ecs_appliance.paper.pictures import on_disk
    from ecs_appliance.paper.verification import verify

    with shown("reading") as progress:
        found = verify([on_disk(file) for file in files], read(against), progress=progress)
    shares = sorted({share.number for share in found.shares})
    if as_json:
        typer.echo(json.dumps({"same": True, "codes": found.codes, "shares": shares, "skipped": found.skipped}))
        return
    of_shares = f" of shares {', '.join(str(number) for number in shares)}" if shares else ""
    typer.echo(f"the paper matches {against}, byte for byte ({found.codes} codes{of_shares})")
    for problem in found.skipped:
        typer.echo(f"skipped:  {problem}")


def _post(url: str, password_file: Path | None, authorities: Path | None, sender: str) -> "SmtpOptions":
    import os

    from ecs_appliance.offline_copy.delivery import SmtpOptions
    from ecs_appliance.offline_copy.mailserver import read_password, read_server

    server = read_server(url)
    return SmtpOptions(server, read_password(server, os.environ, password_file), sender, authorities)


def _requirements() -> list[str]:
    from ecs_appliance.core.errors import RefusedError
    from ecs_appliance.core.runner import SystemRunner
    from ecs_appliance.offline_copy.encrypted_archive import find_gpg

    try:
        find_gpg(SystemRunner())
    except RefusedError as error:
        return [f"{error.message}: {error.hint}"]
    return []


def _package_lines(made: "Package") -> list[str]:
    lines = [f"printable  {paper}" for paper in made.papers]
    lines[0] += f"  ({made.codes} codes, read back and compared)"
    lines.append(f"disc       {made.disc}")
    if made.encrypted:
        lines += [f"encrypted  {made.encrypted}", *(f"           for {recipient}" for recipient in made.recipients)]
    return lines + [f"outdated   {paper}: from an earlier package; destroy it and its prints" for paper in made.stale]


def _mail_lines(file: Path, recipients: "tuple[str, ...]") -> list[str]:
    from ecs_appliance.offline_copy import mail
    from ecs_appliance.offline_copy.delivery import has_recipients

    if recipients:
        return [f"mailed     to {', '.join(recipients)}"]
    if has_recipients(file):
        return [f"not mailed to {file.with_name(mail.FILE_NAME)}: no mail server given (--smtp)"]
    return []


def _next_steps(made: "Package", file: Path) -> list[str]:
    what = (
        "each share and give each to another person" if len(made.papers) > 1 else f"{made.papers[0]} and lock it away"
    )
    return [
        f"  → print {what}",
        f"  → verify the print: scan it, then: appliance env verify-paper scan*.png --against {shlex.quote(str(file))}",
    ]


def _package_as_json(made: "Package", mailed: "tuple[str, ...]") -> dict[str, object]:
    return {
        "domain": made.domain,
        "modified": made.modified.isoformat(),
        "papers": [str(paper) for paper in made.papers],
        "codes": made.codes,
        "disc": str(made.disc),
        "encrypted": str(made.encrypted) if made.encrypted else None,
        "recipients": [recipient.fingerprint for recipient in made.recipients],
        "mailed": list(mailed),
        "outdated": [str(paper) for paper in made.stale],
    }
