"""`appliance user` and `appliance cert`: people who work with the application, and what they log in with."""

import json
from pathlib import Path
from typing import Annotated

import typer

from ecs_appliance.core.errors import RefusedError

user = typer.Typer(no_args_is_help=True, help="Users of the application.")
cert = typer.Typer(no_args_is_help=True, help="Client certificates of the application's users.")

Email = Annotated[str, typer.Argument(help="Mail address of the user.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@user.command("create")
def create_user(
    email: Email,
    first: Annotated[str, typer.Argument(help="First name.")],
    last: Annotated[str, typer.Argument(help="Last name.")],
    gender: Annotated[str, typer.Argument(help="f or m.")],
    as_json: AsJson = False,
) -> None:
    """Make an internal office user, or give the one there is a new password, and print it."""
    from ecs_appliance.app.shell import in_web
    from ecs_appliance.app.users import create_internal_user
    from ecs_appliance.core.runner import SystemRunner

    password = create_internal_user(in_web(SystemRunner()), email, first, last, gender)
    _show({"user": email, "password": password}, as_json=as_json)


@cert.command("create")
def create_cert(  # noqa: PLR0917 # how typer names what it reads
    email: Email,
    name: Annotated[str, typer.Argument(help="Name of the certificate, used only once.")],
    days: Annotated[int, typer.Argument(help="Days it is valid, 1 to 3650.")] = 7,
    send_to: Annotated[str, typer.Option("--send-to", "--sendto", help="Mail it there, not to the user.")] = "",
    output: Annotated[Path | None, typer.Option(help="Write it to this .p12 file, and mail nothing.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a client certificate for a user, mail it, and print the passphrase that opens it."""
    from ecs_appliance.app.shell import in_web
    from ecs_appliance.app.users import create_client_certificate
    from ecs_appliance.core.files import write_atomic
    from ecs_appliance.core.runner import SystemRunner

    if output and output.exists():
        raise RefusedError(f"{output} is there already", "name a new file")
    web, mail = in_web(SystemRunner()), output is None
    made = create_client_certificate(web, email, name, days, send_to=send_to, mail=mail)
    where = {"sent_to": send_to or email}
    if output:
        write_atomic(output, made.pkcs12, mode=0o600)
        where = {"written_to": str(output)}
    _show({"user": email, "certificate": name, **where, "passphrase": made.passphrase}, as_json=as_json)


def _show(answer: dict[str, str], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"ok": True, **answer}))
        return
    for name, value in answer.items():
        typer.echo(f"{name.replace('_', ' '):<12} {value}")
