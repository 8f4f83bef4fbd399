"""The state of a machine between commands: its folder, its specification, its processes."""

import re
import signal
from dataclasses import dataclass, replace
from ipaddress import IPv4Network
from pathlib import Path

from ecs_appliance.core.errors import RefusedError
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.state import StateFile
from lab.identity import ProcessIdentity
from lab.network import MachineNetwork

# The signal that tells systemd as process 1 to power off.
POWEROFF = signal.SIGRTMIN + 4
# The supervisor was once called keeper; files keep that name.
RECORDED_NAMES = ("keeper", "nspawn", "init")
MACHINES = "/var/lib/ecs-appliance/machines"
# Names of interfaces contain it, and are limited to 15 characters.
NAME = re.compile(r"[a-z][a-z0-9-]{0,11}")


@dataclass(frozen=True)
class BindMount:
    """A folder on this host that the machine sees at `target`."""

    source: Path
    target: str

    def moved(self, old: Path, new: Path) -> "BindMount":
        """Return the mount with its source below `new` if that was below `old`."""
        return replace(self, source=new / self.source.relative_to(old)) if self.source.is_relative_to(old) else self


@dataclass(frozen=True)
class _SpecRecord:
    """A Spec as stored in its file."""

    name: str
    subnet: str
    mounts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Spec:
    """The parameters with which a machine was created."""

    name: str
    subnet: IPv4Network
    mounts: tuple[BindMount, ...] = ()

    @property
    def network(self) -> MachineNetwork:
        return MachineNetwork(self.name, self.subnet)

    @property
    def group(self) -> str:
        """Return the name of its control group, used on a host whose systemd provides none."""
        return f"ecs-machine-{self.name}"

    def save(self, file: Path) -> None:
        """Write it to `file`."""
        mounts = tuple((str(mount.source), mount.target) for mount in self.mounts)
        _spec_file(file).write(_SpecRecord(self.name, str(self.subnet), mounts))

    @staticmethod
    def load(file: Path) -> "Spec":
        """Return what `save` wrote to `file`. Raise FileNotFoundError without it, ApplianceError if it is damaged."""
        record = _spec_file(file).read()
        if record is None:
            raise FileNotFoundError(file)
        mounts = tuple(BindMount(Path(source), target) for source, target in record.mounts)
        return Spec(record.name, IPv4Network(record.subnet), mounts)


def _spec_file(file: Path) -> StateFile[_SpecRecord]:
    remedy = f"if no process of the machine runs (ps -ef | grep {file.parent.name}), remove {file.parent}"
    return StateFile(file, _SpecRecord, 0o644, remedy)


@dataclass(frozen=True)
class Processes:
    """The processes of a machine on this host; None for one that was never recorded.

    `init` is the machine's process 1, which survives if the other two are killed.
    """

    supervisor: ProcessIdentity | None = None
    nspawn: ProcessIdentity | None = None
    init: ProcessIdentity | None = None

    def save(self, file: Path) -> None:
        """Write them to `file`."""
        processes = zip(RECORDED_NAMES, (self.supervisor, self.nspawn, self.init), strict=True)
        _process_file(file).write({name: process for name, process in processes if process})

    @staticmethod
    def load(file: Path) -> "Processes":
        """Return what `save` wrote to `file`, none without the file. Raise ApplianceError if it is damaged."""
        found = _process_file(file).read() or {}
        return Processes(*(found.get(name) for name in RECORDED_NAMES))

    def alive(self) -> list[ProcessIdentity]:
        """Return the processes that still run."""
        return [process for process in (self.supervisor, self.nspawn, self.init) if process and process.alive()]

    def request_shutdown(self) -> None:
        """Request a clean shutdown from the first process that still runs; it forwards the request."""
        for process in self.alive()[:1]:
            process.send(POWEROFF if process == self.init else signal.SIGTERM)


def _process_file(file: Path) -> StateFile[dict[str, ProcessIdentity]]:
    remedy = f"end the machine's processes (ps -ef | grep {file.parent.name}), then remove {file}"
    return StateFile(file, dict[str, ProcessIdentity], 0o644, remedy)


@dataclass(frozen=True)
class MachineFolder:
    """The folder of a machine on this host."""

    path: Path

    @staticmethod
    def of(name: str, paths: Paths) -> "MachineFolder":
        """Return the folder of the machine `name`. Raise RefusedError for an invalid name."""
        if not NAME.fullmatch(name):
            raise RefusedError(
                f"{name!r} is not a valid machine name", "use a letter, then at most eleven of a-z, 0-9 and hyphen"
            )
        return MachineFolder(paths.at(MACHINES) / name)

    @property
    def spec(self) -> Path:
        return self.path / "machine.json"

    @property
    def lock(self) -> Path:
        """Return the file locked by the command that changes the machine; it outlives the machine's folder."""
        return self.path.with_name(f".{self.path.name}.lock")

    @property
    def process(self) -> Path:
        return self.path / "process.json"

    @property
    def root(self) -> Path:
        return self.path / "root"

    @property
    def log(self) -> Path:
        """Return the file with the output of nspawn and of the machine's console."""
        return self.path / "console.log"

    @property
    def git(self) -> Path:
        """Return the folder of bare repositories that the machine sees as /srv/git."""
        return self.path / "git"

    def processes(self) -> Processes:
        """Return the processes recorded last; they may have exited since."""
        return Processes.load(self.process)

    def all_specs(self) -> list[Path]:
        """Return the specification files of all machines on this host."""
        return sorted(self.path.parent.glob("*/machine.json"))
