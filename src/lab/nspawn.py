"""Debian machines on this host: created from the base image, booted by systemd-nspawn, removed without a trace."""

import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import ClassVar

from ecs_appliance.core.errors import ApplianceError, DeadlineError, NotRunningError, RefusedError
from ecs_appliance.core.files import write_atomic
from ecs_appliance.core.locks import locked
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import Process, SystemRunner
from lab.base import UNPACK_SECONDS, copy_tree, unpack_base
from lab.cleanup import clean_up_host
from lab.identity import ProcessIdentity, find_init, identify
from lab.network import choose_subnet, create_network, read_resolvers, used_networks
from lab.nspawn_guest import NspawnGuest
from lab.production import refuse_production
from lab.provision import forget_identity, provision_root
from lab.state import BindMount, MachineFolder, Spec

BOOT_SECONDS = 90.0
STOP_SECONDS = 150.0
KILL_SECONDS = 15.0
POLL_SECONDS = 0.05
LOG_TAIL_LINES = 20


class NspawnMachine:
    """One machine; its state is in `folder`, so that any process can take it over."""

    # Supervisors that this process started and must reap, by the folder of their machine.
    _supervisors: ClassVar[dict[Path, Process]] = {}

    def __init__(self, name: str, runner: SystemRunner, paths: Paths | None = None) -> None:
        self.name = name
        self.runner = runner
        self.paths = paths or Paths()
        self.folder = MachineFolder.of(name, self.paths)

    @property
    def exists(self) -> bool:
        return self.folder.root.is_dir() and self.folder.spec.exists()

    @property
    def spec(self) -> Spec:
        """Return its specification. Raise NotRunningError if the machine was never created."""
        if not self.folder.spec.exists():
            raise NotRunningError(f"there is no machine {self.name}", f"create it: appliance demo --name {self.name}")
        return Spec.load(self.folder.spec)

    @property
    def running(self) -> bool:
        return bool(self.folder.processes().alive())

    @property
    def guest(self) -> NspawnGuest:
        """Return its guest. Raise NotRunningError if the machine does not run."""
        init = self._init()
        if init is None:
            raise NotRunningError(
                f"the machine {self.name} is not running", f"boot it: appliance demo start --name {self.name}"
            )
        return NspawnGuest(init.pid, self.runner)

    def create(self, base: Path, mounts: Sequence[BindMount] = ()) -> None:
        """Create the machine from `base`, with `mounts`; do nothing if it exists."""
        if self.exists:
            return
        spec = self._reserve(mounts)
        fresh = self._fresh_root()
        unpack_base(base, fresh, self.runner)
        provision_root(fresh, spec.network, self.runner)
        fresh.rename(self.folder.root)

    def copy(self, source: "NspawnMachine") -> None:
        """Create it as a copy of the stopped machine `source`, with its own name, network and keys, unless it exists.

        Raise RefusedError if `source` runs.
        """
        if self.exists:
            return
        if source.running:
            raise RefusedError(
                f"the machine {source.name} is running", f"stop it first: appliance demo stop --name {source.name}"
            )
        theirs, own = source.folder, self.folder
        spec = self._reserve([mount.moved(theirs.path, own.path) for mount in source.spec.mounts])
        for entry in theirs.path.iterdir():
            if entry not in (theirs.root, theirs.spec, theirs.log):
                copy_tree(entry, own.path / entry.name, self.runner)
        fresh = self._fresh_root()
        copy_tree(theirs.root, fresh, self.runner)
        forget_identity(fresh)
        provision_root(fresh, spec.network, self.runner)
        fresh.rename(own.root)

    def start(self) -> None:
        """Boot the machine, unless it runs, and wait until it is up.

        Raise RefusedError on a production machine, ApplianceError if it does not boot.
        """
        refuse_production(self.paths)
        spec = self.spec
        if not self.running:
            self._clean_up()
            write_atomic(self.folder.root / "etc/resolv.conf", read_resolvers(), mode=0o644)
            for mount in spec.mounts:
                mount.source.mkdir(parents=True, exist_ok=True)
            create_network(spec.network, self.runner)
            self._supervisors[self.folder.path] = self.runner.spawn(
                [sys.executable, "-m", "lab.supervisor", self.folder.path],
                output=self.folder.log,
                env={"PYTHONPATH": str(Path(__file__).parents[1])},
            )
        self.wait_ready()

    def wait_ready(self, seconds: float = BOOT_SECONDS) -> str:
        """Wait until the machine has booted; return systemd's state. Raise ApplianceError if it does not boot."""
        deadline = time.monotonic() + seconds
        self._wait(self._booting, deadline, "boot")
        return self.guest.wait_ready(deadline - time.monotonic())

    def stop(self) -> None:
        """Shut the machine down cleanly, by force after STOP_SECONDS; leave no process and no network behind."""
        self.folder.processes().request_shutdown()
        if not self._wait_ended(STOP_SECONDS):
            self.kill()
        self._clean_up()

    def kill(self) -> None:
        """Cut the power: kill the machine without letting anything inside finish."""
        init = self._init()
        if init is not None:
            init.send(signal.SIGKILL)
        if not self._wait_ended(KILL_SECONDS):
            for process in self.folder.processes().alive():
                process.send(signal.SIGKILL)
            self._wait_ended(KILL_SECONDS)
        self._clean_up()

    def reboot(self, seconds: float = BOOT_SECONDS) -> str:
        """Reboot from inside and wait until the machine is up again; return systemd's state."""
        before = self.guest.init
        deadline = time.monotonic() + seconds + STOP_SECONDS
        self.guest.run(["systemctl", "reboot"], timeout=20, ok=range(-64, 256))

        def is_another() -> bool:
            init = self._init()
            return self._booting() and init is not None and init.pid != before

        self._wait(is_another, deadline, "reboot")
        return self.wait_ready(seconds)

    def destroy(self) -> None:
        """Kill the machine and remove everything that belongs to it; do nothing if there is none."""
        if self.folder.spec.exists():
            self.kill()
        if self.folder.path.exists():
            shutil.rmtree(self.folder.path)
        self.folder.lock.unlink(missing_ok=True)

    def _reserve(self, mounts: Iterable[BindMount]) -> Spec:
        """Record the machine with a free network, so that no other machine takes it."""
        with locked(self.folder.path.parent / ".lock", "creating a machine", wait=UNPACK_SECONDS):
            used = [*used_networks(self.runner), *(Spec.load(file).subnet for file in self.folder.all_specs())]
            spec = Spec(self.name, choose_subnet(used), tuple(mounts))
            spec.save(self.folder.spec)
        return spec

    def _fresh_root(self) -> Path:
        """Return where to build the root, after removing what an earlier attempt left there."""
        fresh = self.folder.path / "root.new"
        shutil.rmtree(fresh, ignore_errors=True)
        return fresh

    def _clean_up(self) -> None:
        clean_up_host(self.spec, self.runner)
        self.folder.process.unlink(missing_ok=True)

    def _booting(self) -> bool:
        """Return whether the machine has a process 1. Raise ApplianceError if it will never have one."""
        supervisor = self._supervisors.get(self.folder.path)
        if supervisor is not None and supervisor.poll() is not None:
            tail = "\n".join(self.folder.log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])
            raise ApplianceError(f"the machine {self.name} did not boot:\n{tail}", f"see its log: {self.folder.log}")
        return self._init() is not None

    def _init(self) -> ProcessIdentity | None:
        """Return the machine's current process 1; on a host with systemd, nspawn itself handles a reboot."""
        processes = self.folder.processes()
        if processes.nspawn and processes.nspawn.alive():
            pid = find_init(processes.nspawn.pid)
            return identify(pid) if pid else None
        return processes.init if processes.init and processes.init.alive() else None

    def _wait_ended(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self.running:
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_SECONDS)
        supervisor = self._supervisors.pop(self.folder.path, None)
        if supervisor is not None:
            supervisor.wait(KILL_SECONDS)
        return True

    def _wait(self, met: Callable[[], bool], deadline: float, what: str) -> None:
        while not met():
            if time.monotonic() > deadline:
                raise DeadlineError(
                    f"the machine {self.name} did not {what} in time", f"see its log: {self.folder.log}"
                )
            time.sleep(POLL_SECONDS)
