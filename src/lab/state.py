"""What is known of a machine between commands: its folder, what it was created as, which processes are it."""

import re
import signal
from dataclasses import dataclass, replace
from ipaddress import IPv4Network
from pathlib import Path

from ecs_appliance.core.errors import RefusedError
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.state import StateFile
from lab.identity import Identity
from lab.network import Network

# What systemd as process 1 takes for "power off".
POWEROFF = signal.SIGRTMIN + 4
MACHINES = "/var/lib/ecs-appliance/machines"
# Interface names of 15 characters are made of it.
NAME = re.compile(r"[a-z][a-z0-9-]{0,11}")


@dataclass(frozen=True)
class Mount:
    """A folder of this host that the machine sees at `target`."""

    source: Path
    target: str

    def moved(self, old: Path, new: Path) -> "Mount":
        """Return it with a source below `new` where that was below `old`."""
        return replace(self, source=new / self.source.relative_to(old)) if self.source.is_relative_to(old) else self


@dataclass(frozen=True)
class _Kept:
    """A Spec as its file has it."""

    name: str
    subnet: str
    mounts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Spec:
    """What a machine was created as."""

    name: str
    subnet: IPv4Network
    mounts: tuple[Mount, ...] = ()

    @property
    def network(self) -> Network:
        return Network(self.name, self.subnet)

    @property
    def group(self) -> str:
        """Its control group, where no systemd of this host makes one."""
        return f"ecs-machine-{self.name}"

    def save(self, file: Path) -> None:
        """Keep it in `file`."""
        mounts = tuple((str(mount.source), mount.target) for mount in self.mounts)
        _kept(file).write(_Kept(self.name, str(self.subnet), mounts))

    @staticmethod
    def load(file: Path) -> "Spec":
        """Return what `save` kept in `file`, which is there. Raises ApplianceError."""
        kept = _kept(file).read()
        if kept is None:
            raise FileNotFoundError(file)
        return Spec(kept.name, IPv4Network(kept.subnet), tuple(Mount(Path(source), at) for source, at in kept.mounts))


def _kept(file: Path) -> StateFile[_Kept]:
    remedy = f"where nothing of the machine runs (ps -ef | grep {file.parent.name}), remove {file.parent}"
    return StateFile(file, _Kept, 0o644, remedy)


@dataclass(frozen=True)
class Processes:
    """The processes that are a machine on this host; None for what was never noted.

    `init` is the machine's own process 1: it survives where somebody killed the other two.
    """

    keeper: Identity | None = None
    nspawn: Identity | None = None
    init: Identity | None = None

    def save(self, file: Path) -> None:
        """Note them in `file`."""
        noted = {"keeper": self.keeper, "nspawn": self.nspawn, "init": self.init}
        _noted(file).write({name: identity for name, identity in noted.items() if identity})

    @staticmethod
    def load(file: Path) -> "Processes":
        """Return what `save` noted in `file`; no file, no processes. Raises ApplianceError."""
        found = _noted(file).read() or {}
        return Processes(*(found.get(name) for name in ("keeper", "nspawn", "init")))

    def alive(self) -> list[Identity]:
        """Those that still run."""
        return [process for process in (self.keeper, self.nspawn, self.init) if process and process.alive()]

    def ask_to_end(self) -> None:
        """Ask for an orderly shutdown, through whoever of them is left to hand it on."""
        for process in self.alive()[:1]:
            process.send(POWEROFF if process == self.init else signal.SIGTERM)


def _noted(file: Path) -> StateFile[dict[str, Identity]]:
    remedy = f"end what runs of the machine (ps -ef | grep {file.parent.name}), then remove {file}"
    return StateFile(file, dict[str, Identity], 0o644, remedy)


@dataclass(frozen=True)
class Folder:
    """Where a machine lies on this host."""

    path: Path

    @staticmethod
    def of(name: str, paths: Paths) -> "Folder":
        """The folder of the machine `name`. Raises RefusedError for a name that cannot be one."""
        if not NAME.fullmatch(name):
            raise RefusedError(
                f"{name!r} is no name for a machine", "a letter, then at most eleven of a-z, 0-9 and hyphen"
            )
        return Folder(paths.at(MACHINES) / name)

    @property
    def spec(self) -> Path:
        return self.path / "machine.json"

    @property
    def lock(self) -> Path:
        """Keeps two commands from changing the machine at once; beside its folder, which comes and goes."""
        return self.path.with_name(f".{self.path.name}.lock")

    @property
    def process(self) -> Path:
        return self.path / "process.json"

    @property
    def root(self) -> Path:
        return self.path / "root"

    @property
    def log(self) -> Path:
        """What nspawn and the machine's console said."""
        return self.path / "console.log"

    @property
    def git(self) -> Path:
        """Bare repositories, seen by the machine as /srv/git."""
        return self.path / "git"

    def processes(self) -> Processes:
        """The processes noted last; they may have ended since."""
        return Processes.load(self.process)

    def all_specs(self) -> list[Path]:
        """The specifications of every machine of this host."""
        return sorted(self.path.parent.glob("*/machine.json"))
