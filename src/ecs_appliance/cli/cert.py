"""`appliance cert`: what internal users log in with besides their password."""

from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ecs_appliance.cli import display
from ecs_appliance.cli.display import AsJson, Email
from ecs_appliance.core.errors import ApplianceError, RefusedError
from ecs_appliance.core.text import printable

if TYPE_CHECKING:
    from ecs_appliance.app.certificates import Certificate, Revoked

app = typer.Typer(no_args_is_help=True, help="Client certificates of the application's users.")

HEADINGS = ("name", "user", "serial", "created", "expires", "state")


@app.command("create")
def create_cert(  # noqa: PLR0917 # how typer names what it reads
    email: Email,
    name: Annotated[str, typer.Argument(help="Name of the certificate, used only once.")],
    days: Annotated[int, typer.Argument(help="Days it is valid, 1 to 3650.")] = 7,
    send_to: Annotated[str, typer.Option("--send-to", "--sendto", help="Mail it there, not to the user.")] = "",
    output: Annotated[Path | None, typer.Option(help="Write it to this .p12 file, and mail nothing.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a client certificate for a user, mail it, and print the passphrase that opens it."""
    import shlex

    from ecs_appliance.app.certificates import create_client_certificate
    from ecs_appliance.app.shell import in_web
    from ecs_appliance.core.runner import SystemRunner

    if output and output.exists():
        raise RefusedError(f"{output} is there already", "name a new file")
    display.check_can_show_secret()
    made = create_client_certificate(in_web(SystemRunner()), email, name, days, send_to=send_to, mail=output is None)
    again = f"appliance cert revoke {shlex.quote(name)}, then make one of another name"
    where = {"sent_to": send_to or email}
    if output:
        _write(output, made.pkcs12, again)
        where = {"written_to": str(output)}
    answer = {"user": email, "certificate": name, **where, "passphrase": made.passphrase}
    unseen = ApplianceError(f"{name} is made, but its passphrase could not be shown", again)
    display.show_secret(answer, as_json=as_json, otherwise=unseen)


@app.command("list")
def list_certs(
    user: Annotated[str | None, typer.Option("--user", metavar="EMAIL", help="Only those of this user.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Expired and revoked ones too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the valid client certificates; serials are those of the access log."""
    from ecs_appliance.app.certificates import list_certificates
    from ecs_appliance.app.shell import in_web
    from ecs_appliance.core.runner import SystemRunner

    found = list_certificates(in_web(SystemRunner()), user)
    shown = [certificate for certificate in found if everything or certificate.state() == "valid"]
    others = Counter(certificate.state() for certificate in found if certificate not in shown)
    if as_json:
        answer = {"certificates": [_as_json(certificate) for certificate in shown], "not_shown": dict(others)}
        display.show(answer, as_json=True)
        return
    if shown:
        display.show_table(HEADINGS, [_row(certificate) for certificate in shown], whole=2)
    hidden = ", ".join(f"{others[state]} {state}" for state in ("expired", "revoked") if others[state])
    typer.echo(display.counted(len(shown), "certificate") + (f"; {hidden} not shown: --all" if hidden else ""))


@app.command("revoke")
def revoke_cert(
    name: Annotated[str, typer.Argument(help="Name of the certificate.")],
    as_json: AsJson = False,
) -> None:
    """Revoke a client certificate, and wait until nginx refuses it at the next handshake."""
    done = revoke([name])
    if not as_json:
        show_revoked(done)
        return
    (revoked,), seconds = done
    answer = {**_as_json(revoked.certificate), "new": revoked.new, "nginx_seconds": round(seconds, 2)}
    display.show(answer, as_json=True)


def revoke(names: Collection[str]) -> "tuple[list[Revoked], float]":
    """Revoke the certificates `names` and wait for nginx; see app.revocation."""
    from ecs_appliance.app.revocation import revoke_and_wait
    from ecs_appliance.app.shell import in_web
    from ecs_appliance.core.paths import Paths
    from ecs_appliance.core.runner import SystemRunner

    runner = SystemRunner()
    return revoke_and_wait(in_web(runner), Paths(), runner, names)


def show_revoked(done: "tuple[list[Revoked], float]") -> None:
    """Print what `revoke` has done."""
    revoked, seconds = done
    for one in revoked:
        already = "" if one.new else f", already since {display.local(one.certificate.revoked)}"
        told = f"{one.certificate.name} of {one.certificate.user} (serial {one.certificate.serial_text}){already}"
        display.show({"revoked": printable(told)})
    after = f" after {seconds:.1f} s: refused from the next handshake on" if any(one.new for one in revoked) else ""
    display.show({"nginx": f"has it on its list{after}"})


def show_valid(names: Collection[str]) -> None:
    """Print how many certificates `names` are, and how to revoke them."""
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
            f"{output} could not be written, the certificate is lost: {error.strerror}", again
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
