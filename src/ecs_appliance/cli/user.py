"""`appliance user`: create, list and disable users of the application."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from ecs_appliance.cli import cert, confirm, display
from ecs_appliance.cli.confirm import Yes
from ecs_appliance.cli.display import AsJson, Email
from ecs_appliance.cli.tree import Tree
from ecs_appliance.core.errors import ApplianceError, RefusedError
from ecs_appliance.core.text import printable

if TYPE_CHECKING:
    from ecs_appliance.app.users import User

app = Tree(
    no_args_is_help=True,
    help="Create, list and disable users of the application.",
    example="appliance user list\nappliance user disable office@example.org",
)

HEADINGS = ("address", "name", "kind", "state", "last login", "certificates")


@app.command("create", example="appliance user create office@example.org Anna Huber f")
def create_user(  # noqa: PLR0917 # typer derives options from the parameters
    email: Email,
    first: Annotated[str, typer.Argument(metavar="FIRST", help="First name.")],
    last: Annotated[str, typer.Argument(metavar="LAST", help="Last name.")],
    gender: Annotated[
        str, typer.Argument(metavar="f|m", help="Gender: f (female) or m (male).", autocompletion=lambda: ["f", "m"])
    ],
    reset: Annotated[
        bool,
        typer.Option(
            "--reset", help="If the user exists: set a new password and these names, and enable an internal user."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Create an internal user and print the new password.

    An existing user is not changed unless --reset is given. The password is shown only once.
    """
    from ecs_appliance.app.shell import in_web
    from ecs_appliance.app.users import create_internal_user
    from ecs_appliance.core.runner import SystemRunner

    display.check_can_show_secret()
    made = create_internal_user(in_web(SystemRunner()), email, first, last, gender, reset=reset)
    unseen = ApplianceError(
        f"{made.email} has a new password that could not be shown", "run the command again with --reset"
    )
    if as_json:
        answer = {"user": made.email, "password": made.password, "created": made.before is None}
    else:
        known = {} if made.before is None else {"reset": f"existed already, as {made.before or 'a user with no name'}"}
        answer = {"user": made.email, **known, "password": made.password}
    display.show_secret(answer, as_json=as_json, otherwise=unseen)


@app.command("list", example="appliance user list --all")
def list_users(
    everyone: Annotated[bool, typer.Option("--all", help="Also list the test users of the application.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the users, internal users first.

    Each user is listed with the time of the last login and the number of valid certificates.
    """
    from ecs_appliance.app import users
    from ecs_appliance.app.shell import in_web
    from ecs_appliance.cli.table import show_table
    from ecs_appliance.core.runner import SystemRunner

    found = users.list_users(in_web(SystemRunner()))
    shown = [user for user in found if everyone or not user.test]
    hidden = len(found) - len(shown)
    if as_json:
        display.show({"users": [_as_json(user) for user in shown], "not_shown": hidden}, as_json=True)
        return
    if shown:
        show_table(HEADINGS, [_row(user) for user in shown])
    others = f"; {display.counted(hidden, 'test user')} not shown: --all" if hidden else ""
    typer.echo(display.counted(len(shown), "user") + others)


@app.command("disable", example="appliance user disable office@example.org --revoke-certs")
def disable_user(
    email: Email,
    revoke_certs: Annotated[bool, typer.Option("--revoke-certs", help="Also revoke the user's certificates.")] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Disable a user and end the user's sessions.

    To enable an internal user again, use appliance user create --reset; enable others in the application's user
    administration. With --revoke-certs, which cannot be undone, the command asks for confirmation unless --yes is
    given.
    """
    from ecs_appliance.app import users
    from ecs_appliance.app.arguments import checked_known_address
    from ecs_appliance.app.shell import in_web
    from ecs_appliance.core.runner import SystemRunner

    checked_known_address(email)
    if revoke_certs:
        what = f"this disables {printable(email)} and revokes the certificates, which cannot be undone"
        confirm.confirm(what, yes=yes, quiet=as_json)
    done = users.disable_user(in_web(SystemRunner()), email)
    if not as_json:
        display.show({"disabled": done.email + ("" if done.was_active else ", was already disabled")})
        display.show({"sessions": _sessions(done.sessions)})
    revoked = cert.revoke(done.certificates) if revoke_certs and done.certificates else None
    if as_json:
        display.show({**asdict(done), "certificates_revoked": revoked is not None}, as_json=True)
    elif revoked:
        cert.show_revoked(revoked)
    else:
        cert.show_valid(done.certificates)


@app.command("enable", hidden=True, example="appliance user create office@example.org Anna Huber f --reset")
def enable_user(email: Email) -> None:
    """Explain how to enable a user again: with appliance user create --reset."""
    raise RefusedError(
        "this command enables no users",
        f"internal users: appliance user create {email} FIRST LAST f|m --reset; others: in the application's user "
        "administration",
    )


def _sessions(ended: int | None) -> str:
    if ended is None:
        return "all ended; the password no longer works"
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
