"""A whole Debian machine on this one: made from the base image, booted by systemd-nspawn, removed without a trace."""

import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import ClassVar, Protocol

from ecs_appliance.core.errors import ApplianceError, DeadlineError, NotRunningError, RefusedError
from ecs_appliance.core.files import write_atomic
from ecs_appliance.core.locks import locked
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import SystemRunner
from lab.base import UNPACK_SECONDS, copy_tree, unpack_base
from lab.cleanup import clear_remains
from lab.identity import Identity, find_init, identify
from lab.network import choose_subnet, raise_network, read_resolvers, used_networks
from lab.nspawn_guest import Guest
from lab.production import refuse_production
from lab.provision import forget_identity, provision_root
from lab.state import Folder, Mount, Spec

BOOT_SECONDS = 90.0
STOP_SECONDS = 150.0
KILL_SECONDS = 15.0
POLL_SECONDS = 0.05
LOG_TAIL_LINES = 20


class Child(Protocol):
    """A process that we started ourselves, and so have to reap."""

    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...


class Machine:
    """One machine; what it is lies in `folder`, so that any process can go on with it."""

    # Those that this process started and has to reap, by the folder of their machine.
    _keepers: ClassVar[dict[Path, Child]] = {}

    def __init__(self, name: str, runner: SystemRunner, paths: Paths | None = None) -> None:
        self.name = name
        self.runner = runner
        self.paths = paths or Paths()
        self.folder = Folder.of(name, self.paths)

    @property
    def exists(self) -> bool:
        return self.folder.root.is_dir() and self.folder.spec.exists()

    @property
    def spec(self) -> Spec:
        """What the machine was created as. Raises NotRunningError where it never was."""
        if not self.folder.spec.exists():
            raise NotRunningError(f"there is no machine {self.name}", f"appliance demo --name {self.name} makes it")
        return Spec.load(self.folder.spec)

    @property
    def running(self) -> bool:
        return bool(self.folder.processes().alive())

    @property
    def guest(self) -> Guest:
        """Control of the inside. Raises NotRunningError where the machine does not run."""
        init = self._init()
        if init is None:
            raise NotRunningError(
                f"the machine {self.name} does not run", f"appliance demo start --name {self.name} boots it"
            )
        return Guest(init.pid, self.runner)

    def create(self, base: Path, mounts: Sequence[Mount] = ()) -> None:
        """Unpack `base` and make it a machine of its own; does nothing where that is done. `mounts` are kept."""
        if self.exists:
            return
        spec = self._reserve(mounts)
        fresh = self._fresh_root()
        unpack_base(base, fresh, self.runner)
        provision_root(fresh, spec.network, self.runner)
        fresh.rename(self.folder.root)

    def copy(self, source: "Machine") -> None:
        """Make it a copy of the stopped machine `source` with its own name, network and keys; once is enough.

        Raises RefusedError where `source` runs.
        """
        if self.exists:
            return
        if source.running:
            raise RefusedError(
                f"the machine {source.name} runs", f"stop it first: appliance demo stop --name {source.name}"
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
        """Boot the machine and wait until it is up; does nothing where it runs.

        Raises RefusedError on a production machine, ApplianceError where it does not boot.
        """
        refuse_production(self.paths)
        spec = self.spec
        if not self.running:
            self._clear()
            write_atomic(self.folder.root / "etc/resolv.conf", read_resolvers(), mode=0o644)
            for mount in spec.mounts:
                mount.source.mkdir(parents=True, exist_ok=True)
            raise_network(spec.network, self.runner)
            self._keepers[self.folder.path] = self.runner.spawn(
                [sys.executable, "-m", "lab.supervisor", self.folder.path],
                output=self.folder.log,
                env={"PYTHONPATH": str(Path(__file__).parents[1])},
            )
        self.wait_ready()

    def wait_ready(self, seconds: float = BOOT_SECONDS) -> str:
        """Wait until the machine has booted; returns systemd's state. Raises ApplianceError."""
        deadline = time.monotonic() + seconds
        self._wait(self._booting, deadline, "boot")
        return self.guest.wait_ready(deadline - time.monotonic())

    def stop(self) -> None:
        """Shut the machine down in order, by force after STOP_SECONDS; leaves no process and no network behind."""
        self.folder.processes().ask_to_end()
        if not self._ended(STOP_SECONDS):
            self.kill()
        self._clear()

    def kill(self) -> None:
        """Cut the power: nothing inside gets a chance to finish."""
        init = self._init()
        if init is not None:
            init.send(signal.SIGKILL)
        if not self._ended(KILL_SECONDS):
            for process in self.folder.processes().alive():
                process.send(signal.SIGKILL)
            self._ended(KILL_SECONDS)
        self._clear()

    def reboot(self, seconds: float = BOOT_SECONDS) -> str:
        """Reboot from the inside and wait until it is up again; returns systemd's state."""
        before = self.guest.init
        deadline = time.monotonic() + seconds + STOP_SECONDS
        self.guest.run(["systemctl", "reboot"], timeout=20, ok=range(-64, 256))

        def is_another() -> bool:
            init = self._init()
            return self._booting() and init is not None and init.pid != before

        self._wait(is_another, deadline, "reboot")
        return self.wait_ready(seconds)

    def destroy(self) -> None:
        """End the machine and remove everything of it; does nothing where there is none."""
        if self.folder.spec.exists():
            self.kill()
        if self.folder.path.exists():
            shutil.rmtree(self.folder.path)
        self.folder.lock.unlink(missing_ok=True)

    def _reserve(self, mounts: Iterable[Mount]) -> Spec:
        """Note the machine with a free network, so that no other takes it."""
        with locked(self.folder.path.parent / ".lock", "creating a machine", wait=UNPACK_SECONDS):
            used = [*used_networks(self.runner), *(Spec.load(file).subnet for file in self.folder.all_specs())]
            spec = Spec(self.name, choose_subnet(used), tuple(mounts))
            spec.save(self.folder.spec)
        return spec

    def _fresh_root(self) -> Path:
        """Return where to make the root; what an earlier try left there is gone."""
        fresh = self.folder.path / "root.new"
        shutil.rmtree(fresh, ignore_errors=True)
        return fresh

    def _clear(self) -> None:
        clear_remains(self.spec, self.runner)
        self.folder.process.unlink(missing_ok=True)

    def _booting(self) -> bool:
        """Whether there is a process 1 to talk to. Raises ApplianceError where there will never be one."""
        keeper = self._keepers.get(self.folder.path)
        if keeper is not None and keeper.poll() is not None:
            tail = "\n".join(self.folder.log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])
            raise ApplianceError(f"the machine {self.name} did not boot:\n{tail}", f"its log: {self.folder.log}")
        return self._init() is not None

    def _init(self) -> Identity | None:
        """The machine's process 1 as it is now: where this host runs systemd, nspawn itself boots it again."""
        processes = self.folder.processes()
        if processes.nspawn and processes.nspawn.alive():
            pid = find_init(processes.nspawn.pid)
            return identify(pid) if pid else None
        return processes.init if processes.init and processes.init.alive() else None

    def _ended(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self.running:
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_SECONDS)
        keeper = self._keepers.pop(self.folder.path, None)
        if keeper is not None:
            keeper.wait(KILL_SECONDS)
        return True

    def _wait(self, met: Callable[[], bool], deadline: float, what: str) -> None:
        while not met():
            if time.monotonic() > deadline:
                raise DeadlineError(f"the machine {self.name} did not {what} in time", f"its log: {self.folder.log}")
            time.sleep(POLL_SECONDS)
