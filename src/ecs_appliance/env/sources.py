"""Where an environment is looked for, and in which order; the first that exists wins, a broken one ends the search."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import Runner
from ecs_appliance.env.drives import DriveSource, SystemDrives
from ecs_appliance.env.metadata import Ec2Source, GceSource, read_hints
from ecs_appliance.env.source import CloudInitSource, FileSource, Found, NoEnvironmentError, Source


def find(paths: Paths, runner: Runner, *, sources: Sequence[Source] | None = None) -> Found:
    """The environment of the first source that has one, by default of `all_sources`.

    Raises SourceError of the source that exists but is broken, NoEnvironmentError where no source has one.
    """
    for source in all_sources(paths, runner, os.environ) if sources is None else sources:
        found = source.get() if source.detect() else None
        if found:
            return found
    raise NoEnvironmentError(
        "no environment found: neither a file, nor a drive, nor a metadata service has one",
        f"copy your env.yml to {paths.env_yml}, or make one with `appliance env create`",
    )


def all_sources(paths: Paths, runner: Runner, environ: Mapping[str, str]) -> list[Source]:
    """Every source in the order of the manual; cloud-init's own copy comes last, for clouds not known here."""
    drives, hints = SystemDrives(paths, runner), read_hints(paths)
    named = [FileSource(Path(environ["ENV_YML"]))] if environ.get("ENV_YML") else []
    return [
        *named,
        FileSource(paths.env_yml),
        DriveSource("cidata", ("user-data",), drives),
        DriveSource("config-2", ("openstack/latest/user_data",), drives),
        Ec2Source(hints),
        GceSource(hints),
        CloudInitSource(paths.at("/var/lib/cloud/instance/user-data.txt")),
    ]
