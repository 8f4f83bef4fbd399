"""`appliance user`: people who work with the application."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from ecs_appliance.cli import cert, display
from ecs_appliance.cli.display import AsJson, Email
from ecs_appliance.core.errors import ApplianceError, RefusedError

if TYPE_CHECKING:
    from ecs_appliance.app.users import User

app = typer.Typer(no_args_is_help=True, help="Users of the application.")

HEADINGS = ("address", "name", "kind", "state", "last login", "certificates")


@app.command("create")
def create_user(  # noqa: PLR0917 # typer makes options of the last two
    email: Email,
    first: Annotated[str, typer.Argument(help="First name.")],
    last: Annotated[str, typer.Argument(help="Last name.")],
    gender: Annotated[str, typer.Argument(help="f or m.")],
    reset: Annotated[
        bool, typer.Option("--reset", help="Also one who is there: new password, these names, let in again.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make an internal office user with a new password, and print it. Who is there already is left alone."""
    from ecs_appliance.app.shell import in_web
    from ecs_appliance.app.users import create_internal_user
    from ecs_appliance.core.runner import SystemRunner

    display.check_can_show_secret()
    made = create_internal_user(in_web(SystemRunner()), email, first, last, gender, reset=reset)
    unseen = ApplianceError(
        f"{made.email} has a new password that could not be shown", "run the command again, with --reset"
    )
    if as_json:
        answer = {"user": made.email, "password": made.password, "created": made.before is None}
    else:
        known = {} if made.before is None else {"reset": f"was there already, as {made.before or 'nobody by name'}"}
        answer = {"user": made.email, **known, "password": made.password}
    display.show_secret(answer, as_json=as_json, otherwise=unseen)


@app.command("list")
def list_users(
    everyone: Annotated[bool, typer.Option("--all", help="Test users of the application, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show who can log in, when they last did, and how many valid certificates they have; internal users first."""
    from ecs_appliance.app import users
    from ecs_appliance.app.shell import in_web
    from ecs_appliance.core.runner import SystemRunner

    found = users.list_users(in_web(SystemRunner()))
    shown = [user for user in found if everyone or not user.test]
    hidden = len(found) - len(shown)
    if as_json:
        display.show({"users": [_as_json(user) for user in shown], "not_shown": hidden}, as_json=True)
        return
    if shown:
        display.show_table(HEADINGS, [_row(user) for user in shown])
    others = f"; {display.counted(hidden, 'test user')} not shown: --all" if hidden else ""
    typer.echo(display.counted(len(shown), "user") + others)


@app.command("disable")
def disable_user(
    email: Email,
    revoke_certs: Annotated[bool, typer.Option("--revoke-certs", help="Revoke the user's certificates too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let a user in no more: no login, and running sessions end at once. `user create --reset` undoes it."""
    from ecs_appliance.app import users
    from ecs_appliance.app.shell import in_web
    from ecs_appliance.core.runner import SystemRunner

    done = users.disable_user(in_web(SystemRunner()), email)
    if not as_json:
        display.show({"disabled": done.email + ("" if done.was_active else ", already before")})
        display.show({"sessions": _sessions(done.sessions)})
    revoked = cert.revoke(done.certificates) if revoke_certs and done.certificates else None
    if as_json:
        display.show({**asdict(done), "certificates_revoked": revoked is not None}, as_json=True)
    elif revoked:
        cert.show_revoked(revoked)
    else:
        cert.show_valid(done.certificates)


@app.command("enable", hidden=True)
def enable_user(email: Email) -> None:
    """Say how a user is let in again: who looks for this would else be offered `disable`."""
    raise RefusedError(
        f"{email} is let in again with a new password", f"appliance user create {email} FIRST LAST f|m --reset"
    )


def _sessions(ended: int | None) -> str:
    if ended is None:
        return "all ended; the password is void"
    return f"{ended} ended" if ended else "none was running"


def _row(user: "User") -> tuple[str, ...]:
    return (
        user.email,
        f"{user.first_name} {user.last_name}".strip(),
        _kind(user),
        "active" if user.active else "disabled",
        display.local(user.last_login) or "never",
        str(user.certificates or "none"),
    )


def _kind(user: "User") -> str:
    if user.test:
        return "test"
    return "internal" if user.internal else "external"


def _as_json(user: "User") -> dict[str, object]:
    return {**asdict(user), "last_login": user.last_login.isoformat() if user.last_login else None}
