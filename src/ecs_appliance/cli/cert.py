"""`appliance cert`: the client certificates that internal users need to log in."""

from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ecs_appliance.cli import confirm, display
from ecs_appliance.cli.confirm import Yes
from ecs_appliance.cli.display import AsJson, Email
from ecs_appliance.cli.tree import Tree
from ecs_appliance.core.errors import ApplianceError, RefusedError
from ecs_appliance.core.text import printable

if TYPE_CHECKING:
    from ecs_appliance.app.certificates import Certificate, Revoked

app = Tree(
    no_args_is_help=True,
    help="Create, list and revoke client certificates.",
    example="appliance cert list\nappliance cert revoke 'Office 2025'",
)

HEADINGS = ("name", "user", "serial", "created", "expires", "state")


@app.command("create", example="appliance cert create office@example.org 'Office 2025' 365 --output a.p12")
def create_cert(  # noqa: PLR0917 # typer derives options from the parameters
    email: Email,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Name of the certificate; each name can be used only once.")
    ],
    days: Annotated[int, typer.Argument(metavar="DAYS", help="Number of days it is valid, 1 to 3650.")] = 7,
    send_to: Annotated[
        str, typer.Option("--send-to", metavar="EMAIL", help="Mail it to this address instead of the user.")
    ] = "",
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="Write it to this new .p12 file, and mail nothing.")
    ] = None,
    as_json: AsJson = False,
    sendto: Annotated[str, typer.Option("--sendto", metavar="EMAIL", hidden=True, help="Same as --send-to.")] = "",
) -> None:
    """Create a client certificate for a user and print its passphrase.

    The certificate is mailed to the user unless --output names a file. The passphrase is shown only here, once.
    """
    import shlex

    from ecs_appliance.app.certificates import create_client_certificate
    from ecs_appliance.app.shell import in_web
    from ecs_appliance.core.runner import SystemRunner

    if output and output.exists():
        raise RefusedError(f"{output} already exists", "name a new file")
    send_to = send_to or sendto
    display.check_can_show_secret()
    made = create_client_certificate(in_web(SystemRunner()), email, name, days, send_to=send_to, mail=output is None)
    again = f"appliance cert revoke {shlex.quote(name)}, then create one with another name"
    where = {"sent_to": send_to or email}
    if output:
        _write(output, made.pkcs12, again)
        where = {"written_to": str(output)}
    answer = {"user": email, "certificate": name, **where, "passphrase": made.passphrase}
    unseen = ApplianceError(f"{name} was created, but its passphrase could not be shown", again)
    display.show_secret(answer, as_json=as_json, otherwise=unseen)


@app.command("list", example="appliance cert list --user office@example.org")
def list_certs(
    user: Annotated[
        str | None, typer.Option("--user", metavar="EMAIL", help="List only the certificates of this user.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Also list expired and revoked certificates.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the valid client certificates.

    Their serial numbers are those in nginx's access log.
    """
    from ecs_appliance.app.certificates import list_certificates
    from ecs_appliance.app.shell import in_web
    from ecs_appliance.cli.table import show_table
    from ecs_appliance.core.runner import SystemRunner

    found = list_certificates(in_web(SystemRunner()), user)
    shown = [certificate for certificate in found if everything or certificate.state() == "valid"]
    others = Counter(certificate.state() for certificate in found if certificate not in shown)
    if as_json:
        answer = {"certificates": [_as_json(certificate) for certificate in shown], "not_shown": dict(others)}
        display.show(answer, as_json=True)
        return
    if shown:
        show_table(HEADINGS, [_row(certificate) for certificate in shown], whole=2)
    hidden = ", ".join(f"{others[state]} {state}" for state in ("expired", "revoked") if others[state])
    typer.echo(display.counted(len(shown), "certificate") + (f"; {hidden} not shown: --all" if hidden else ""))


@app.command("revoke", example="appliance cert revoke 'Office 2025'")
def revoke_cert(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the certificate, as cert list shows it.")],
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Revoke a client certificate, so that nginx refuses it.

    The command returns once nginx refuses it. A revoked certificate cannot be made valid again. Without --yes, the
    command shows the certificate and asks for confirmation.
    """
    from ecs_appliance.app.arguments import checked_known_certificate_name

    checked_known_certificate_name(name)
    confirm.confirm(
        f"this revokes the certificate {printable(name)}, which cannot be undone",
        yes=yes,
        show=lambda: show_to_revoke([name]),
        quiet=as_json,
    )
    done = revoke([name])
    if not as_json:
        show_revoked(done)
        return
    (revoked,), seconds = done
    answer = {**_as_json(revoked.certificate), "new": revoked.new, "nginx_seconds": round(seconds, 2)}
    display.show(answer, as_json=True)


def show_to_revoke(names: Collection[str]) -> None:
    """Print the certificates `names` before they are revoked. Raise RefusedError if none of them exists."""
    from ecs_appliance.app.certificates import list_certificates
    from ecs_appliance.app.shell import in_web
    from ecs_appliance.cli.table import show_table
    from ecs_appliance.core.runner import SystemRunner

    found = [one for one in list_certificates(in_web(SystemRunner())) if one.name in names]
    if not found:
        raise RefusedError(f"there is no certificate {printable(', '.join(names))}", "appliance cert list --all")
    show_table(HEADINGS, [_row(one) for one in found], whole=2)


def revoke(names: Collection[str]) -> "tuple[list[Revoked], float]":
    """Revoke the certificates `names` and wait for nginx; see app.revocation."""
    from ecs_appliance.app.revocation import revoke_and_wait
    from ecs_appliance.app.shell import in_web
    from ecs_appliance.core.paths import Paths
    from ecs_appliance.core.runner import SystemRunner

    runner = SystemRunner()
    return revoke_and_wait(in_web(runner), Paths(), runner, names)


def show_revoked(done: "tuple[list[Revoked], float]") -> None:
    """Print the result of `revoke`."""
    revoked, seconds = done
    for one in revoked:
        already = "" if one.new else f", already since {display.local(one.certificate.revoked)}"
        shown = f"{one.certificate.name} of {one.certificate.user} (serial {one.certificate.serial_text}){already}"
        display.show({"revoked": printable(shown)})
    after = f" after {seconds:.1f} s; refused from the next handshake on" if any(one.new for one in revoked) else ""
    display.show({"nginx": f"revocation list is up to date{after}"})


def show_valid(names: Collection[str]) -> None:
    """Print how many certificates are still valid, those in `names`, and how to revoke each."""
    import shlex

    display.show({"certificates": f"{len(names)} still valid" if names else "none is valid"})
    for name in names:
        end_of_options = "-- " if name.startswith("-") else ""
        typer.echo(f"  → appliance cert revoke {end_of_options}{shlex.quote(printable(name))}")


def _write(output: Path, pkcs12: bytes, again: str) -> None:
    from ecs_appliance.core.files import write_new

    try:
        write_new(output, pkcs12, mode=0o600)
    except OSError as error:
        raise ApplianceError(
            f"{output} could not be written, so the certificate is lost: {error.strerror}", again
        ) from None


def _row(certificate: "Certificate") -> tuple[str, ...]:
    state = certificate.state()
    since = f" {display.local(certificate.revoked)}" if certificate.revoked else ""
    times = (f"{display.local(certificate.created)}", f"{display.local(certificate.expires)}")
    return (certificate.name, certificate.user, certificate.serial_text, *times, state + since)


def _as_json(certificate: "Certificate") -> dict[str, object]:
    return {
        "name": certificate.name,
        "user": certificate.user,
        "serial": certificate.serial_text,
        "created": certificate.created.isoformat(),
        "expires": certificate.expires.isoformat(),
        "revoked": certificate.revoked.isoformat() if certificate.revoked else None,
        "state": certificate.state(),
    }
