"""Looks for an environment in all sources in order: the first one wins, and a broken source ends the search."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from ecs_appliance.core.files import read_optional
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import Runner
from ecs_appliance.env.drives import DriveSource, SystemDrives
from ecs_appliance.env.metadata import Ec2Source, GceSource, read_hints
from ecs_appliance.env.source import CloudInitSource, EnvSource, FileSource, FoundEnv, NoEnvironmentError, SourceKind


def find_env(paths: Paths, runner: Runner, *, sources: Sequence[EnvSource] | None = None) -> FoundEnv:
    """Return the environment of the first of `sources` that has one; by default, they are `all_sources`.

    Raise SourceError if a source exists but cannot be read, NoEnvironmentError if no source has an environment.
    """
    for source in all_sources(paths, runner, os.environ) if sources is None else sources:
        found = source.get() if source.detect() else None
        if found:
            return found
    known = known_kind(paths)
    why = f"; this machine had one from a {known} before, so no other kind of source is queried" if known else ""
    anyway = f"; to query all sources again: rm {paths.env_kind}" if known else ""
    raise NoEnvironmentError(
        f"no environment found: no file, drive or metadata service has one{why}",
        f"copy your env.yml to {paths.env_yml}, or create one with `appliance env create`{anyway}",
    )


def all_sources(paths: Paths, runner: Runner, environ: Mapping[str, str]) -> list[EnvSource]:
    """Return the sources to search, in the order of the manual; cloud-init's copy, for unknown clouds, is last.

    Anyone who manages to remove the file must not be able to supply another environment. So once the machine has had
    one, the network is never queried again, and drives only if it came from a drive.
    """
    named = [FileSource(Path(environ["ENV_YML"]))] if environ.get("ENV_YML") else []
    files = [*named, FileSource(paths.env_yml)]
    drives = SystemDrives(paths, runner)
    on_drives = [
        DriveSource("cidata", ("user-data",), drives),
        DriveSource("config-2", ("openstack/latest/user_data",), drives),
    ]
    match known_kind(paths):
        case None:
            return [*files, *on_drives, *_network(paths)]
        case SourceKind.DRIVE:
            return [*files, *on_drives]
        case _:
            return [*files]


def known_kind(paths: Paths) -> SourceKind | None:
    """Return the kind of source of the last active environment; None if there never was one."""
    text = read_optional(paths.env_kind)
    if text is None:
        return None
    # Even a damaged record proves that there was one.
    return SourceKind(text.strip()) if text.strip() in list(SourceKind) else SourceKind.FILE


def _network(paths: Paths) -> list[EnvSource]:
    hints = read_hints(paths)
    copy = CloudInitSource(paths.at("/var/lib/cloud/instance/user-data.txt"))
    return [Ec2Source(hints), GceSource(hints), copy]
