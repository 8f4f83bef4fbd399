"""Units and commands of a release, in folders where others have theirs too: they go with their release."""

from collections.abc import Sequence
from pathlib import Path

from ecs_appliance.core.files import read_optional, write_atomic
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import Runner
from ecs_appliance.host import systemd

UNITS, COMMANDS = "/usr/local/lib/systemd/system", "/usr/local/bin"
# Files of releases whose states have run here, a path a line.
RECORD = "installed"


def commands_of(release: Path) -> tuple[str, ...]:
    """The names of the commands that `release` has for operators."""
    return tuple(sorted(file.name for file in (release / "commands").iterdir() if file.suffix in (".sh", ".py")))


def files_of(release: Path) -> set[str]:
    """The files that the states of `release` put into those folders."""
    source = release / "salt/states/appliance/files/units"
    units = {f"{UNITS}/{file.relative_to(source)}" for file in source.rglob("*") if file.is_file()}
    return units | {f"{COMMANDS}/{name}" for name in commands_of(release)}


def plan_removal(paths: Paths) -> list[str]:
    """The files of earlier releases, or of later ones, that the active release does not have."""
    return sorted(_recorded(paths) - files_of(paths.appliance))


def remove_others(paths: Paths, runner: Runner, unwanted: Sequence[str]) -> None:
    """Stop and disable the units of `unwanted`, remove all of it, and record what the active release has.

    To come before its states: what they install is recorded, also where they are cut off. Raises CommandError.
    """
    current = files_of(paths.appliance)
    _record(paths, current | set(unwanted))
    shared = (paths.at(UNITS), paths.at(COMMANDS))
    for path in map(paths.at, unwanted):
        if path.parent == paths.at(UNITS) and path.exists():
            systemd.retire(runner, path.name)
        path.unlink(missing_ok=True)
        # A folder of additions to a unit.
        if path.parent not in shared and path.parent.is_dir() and not any(path.parent.iterdir()):
            path.parent.rmdir()
    _record(paths, current)


def is_recorded(paths: Paths) -> bool:
    """Whether the files of the active release are recorded, and no others."""
    return _recorded(paths) == files_of(paths.appliance)


def _recorded(paths: Paths) -> set[str]:
    return set((read_optional(paths.state / RECORD) or "").splitlines())


def _record(paths: Paths, files: set[str]) -> None:
    write_atomic(paths.state / RECORD, "".join(f"{name}\n" for name in sorted(files)), mode=0o644)
