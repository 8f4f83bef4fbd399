"""Activates an environment: find, check, write. An invalid one changes nothing."""

import logging
from dataclasses import dataclass

from ecs_appliance.core.errors import ApplianceError, InvalidEnvError
from ecs_appliance.core.files import write_atomic, write_changed
from ecs_appliance.core.log import register_secret
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import Runner
from ecs_appliance.env.check import check, load
from ecs_appliance.env.diagnostics import Diagnostic, report
from ecs_appliance.env.discovery import find_env
from ecs_appliance.env.model import Env
from ecs_appliance.env.schema_walk import secrets
from ecs_appliance.env.source import FoundEnv, NoEnvironmentError, SourceKind

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Activated:
    """`origin` is where `env` was found, `changed` whether it differs from the previously active one."""

    env: Env
    origin: str
    changed: bool
    warnings: tuple[Diagnostic, ...] = ()


def activate(paths: Paths, runner: Runner) -> Activated:
    """Find the environment, check it, and write it to /run/active-env.yml.

    Raise InvalidEnvError with the full report if it is invalid, or as `sources.find` does; the active environment is
    unchanged then.
    """
    return activate_found(paths, find_env(paths, runner))


def activate_found(paths: Paths, found: FoundEnv) -> Activated:
    """Activate an environment that has been read already; raise as `activate` does."""
    env, problems = _checked(found)
    try:
        changed = write_changed(paths.active_env, found.data, mode=0o600)
        write_changed(paths.active_env_origin, f"{found.origin}\n", mode=0o644)
        _remember(paths, found)
    except OSError as error:
        raise ApplianceError(f"cannot write {paths.active_env}: {error.strerror}", "run this as root") from None
    return Activated(env, found.origin, changed, problems)


def usable(found: FoundEnv) -> Env:
    """Return the environment in `found` without activating it; mask its secrets in the log from now on.

    Raise InvalidEnvError with the full report if it is invalid.
    """
    return _checked(found)[0]


def _checked(found: FoundEnv) -> tuple[Env, tuple[Diagnostic, ...]]:
    checked = check(found.data)
    if checked.env is None:
        hint = "fix it there; the previous environment stays active"
        raise InvalidEnvError(report(checked.problems, found.origin), hint)
    protect(checked.env)
    return checked.env, checked.problems


def _remember(paths: Paths, found: FoundEnv) -> None:
    """Record where the next start looks; keep an environment from the network as a file, to fetch it only once."""
    if found.kind is SourceKind.NETWORK:
        write_atomic(paths.env_yml, found.data, mode=0o600)
        log.warning(
            "the environment came from %s and was saved as %s, which is used from now on; remove it from its source",
            found.origin,
            paths.env_yml,
        )
    kind = SourceKind.DRIVE if found.kind is SourceKind.DRIVE else SourceKind.FILE
    write_changed(paths.env_kind, f"{kind}\n", mode=0o644)


def describe(activated: Activated, paths: Paths) -> list[str]:
    """Return what an activation did, for the operator."""
    warnings = report(activated.warnings, activated.origin).splitlines()
    if not activated.changed:
        return [*warnings, f"unchanged: {paths.active_env} is the same as {activated.origin}"]
    return [
        *warnings,
        f"active: {paths.active_env}, from {activated.origin}",
        "  → apply it: systemctl start appliance-update",
    ]


def load_active(paths: Paths) -> Env:
    """Return the active environment; mask its secrets in the log from now on.

    Raise NoEnvironmentError if there is none, InvalidEnvError if it is invalid.
    """
    if not paths.active_env.exists():
        raise NoEnvironmentError(
            f"no environment is active: {paths.active_env} is missing", "run `appliance env update`"
        )
    env = load(paths.active_env)
    protect(env)
    return env


def protect(env: Env) -> None:
    """Mask every secret of `env` in the log of this process.

    The text of extra.states is excluded, because its lines also occur in Salt's messages.
    """
    states = env.appliance.extra.states.get_secret_value()
    register_secret(*(secret for secret in secrets(env) if secret != states))
