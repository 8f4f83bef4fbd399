"""What is known of a machine between commands: its folder, what it was created as, which processes are it."""

import json
import re
import signal
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from ecs_appliance.core.errors import RefusedError
from ecs_appliance.core.files import read_optional
from ecs_appliance.core.paths import Paths
from ecs_appliance.machine.identity import Identity
from ecs_appliance.machine.network import Network

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

    def dump(self) -> str:
        """The JSON text that `load` reads."""
        mounts = [[str(mount.source), mount.target] for mount in self.mounts]
        return json.dumps({"name": self.name, "subnet": str(self.subnet), "mounts": mounts}, indent=2) + "\n"

    @staticmethod
    def load(file: Path) -> "Spec":
        """Read what `dump` wrote."""
        data = json.loads(file.read_text())
        mounts = tuple(Mount(Path(source), target) for source, target in data["mounts"])
        return Spec(data["name"], IPv4Network(data["subnet"]), mounts)


@dataclass(frozen=True)
class Processes:
    """The processes that are a machine on this host; None for what was never noted.

    `init` is the machine's own process 1: it survives where somebody killed the other two.
    """

    keeper: Identity | None = None
    nspawn: Identity | None = None
    init: Identity | None = None

    def dump(self) -> str:
        """The JSON text that `load` reads."""
        noted = {"keeper": self.keeper, "nspawn": self.nspawn, "init": self.init}
        return json.dumps({name: identity.to_json() for name, identity in noted.items() if identity}) + "\n"

    @staticmethod
    def load(text: str | None) -> "Processes":
        """Read what `dump` wrote; no text, no processes."""
        data = json.loads(text) if text else {}
        return Processes(**{name: Identity(**fields) for name, fields in data.items()})

    def alive(self) -> list[Identity]:
        """Those that still run."""
        return [process for process in (self.keeper, self.nspawn, self.init) if process and process.alive()]

    def ask_to_end(self) -> None:
        """Ask for an orderly shutdown, through whoever of them is left to hand it on."""
        for process in self.alive()[:1]:
            process.send(POWEROFF if process == self.init else signal.SIGTERM)


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
        return Processes.load(read_optional(self.process))

    def all_specs(self) -> list[Path]:
        """The specifications of every machine of this host."""
        return sorted(self.path.parent.glob("*/machine.json"))
