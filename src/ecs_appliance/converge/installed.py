"""Tracks a release's units and commands in shared folders, so that they are removed with the release."""

from collections.abc import Sequence
from pathlib import Path

from ecs_appliance.core.files import read_optional, write_atomic
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import Runner
from ecs_appliance.host import systemd

UNITS, COMMANDS = "/usr/local/lib/systemd/system", "/usr/local/bin"
# The files of releases that have converged here, one path per line.
RECORD = "installed"


def commands_of(release: Path) -> tuple[str, ...]:
    """Return the names of the operator commands in `release`."""
    return tuple(sorted(file.name for file in (release / "commands").iterdir() if file.suffix in (".sh", ".py")))


def files_of(release: Path) -> set[str]:
    """Return the files that the states of `release` install in those folders."""
    source = release / "salt/states/appliance/files/units"
    units = {f"{UNITS}/{file.relative_to(source)}" for file in source.rglob("*") if file.is_file()}
    return units | {f"{COMMANDS}/{name}" for name in commands_of(release)}


def plan_removal(paths: Paths) -> list[str]:
    """Return the files of other releases, earlier or later, that the active one does not have."""
    return sorted(_recorded(paths) - files_of(paths.appliance))


def remove_others(paths: Paths, runner: Runner, unwanted: Sequence[str]) -> None:
    """Stop and disable the units in `unwanted`, remove all its files, and record those of the active release.

    Must run before its states, so that their files are recorded even if they are interrupted. Raises CommandError.
    """
    current = files_of(paths.appliance)
    _record(paths, current | set(unwanted))
    shared = (paths.at(UNITS), paths.at(COMMANDS))
    for path in map(paths.at, unwanted):
        if path.parent == paths.at(UNITS) and path.exists():
            systemd.retire(runner, path.name)
        path.unlink(missing_ok=True)
        # A drop-in folder of a unit.
        if path.parent not in shared and path.parent.is_dir() and not any(path.parent.iterdir()):
            path.parent.rmdir()
    _record(paths, current)


def is_recorded(paths: Paths) -> bool:
    """Return whether exactly the files of the active release are recorded."""
    return _recorded(paths) == files_of(paths.appliance)


def _recorded(paths: Paths) -> set[str]:
    return set((read_optional(paths.state / RECORD) or "").splitlines())


def _record(paths: Paths, files: set[str]) -> None:
    write_atomic(paths.state / RECORD, "".join(f"{name}\n" for name in sorted(files)), mode=0o644)
