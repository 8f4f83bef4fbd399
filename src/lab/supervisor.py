"""The process beside a running machine: boots it again when it reboots, and clears its network when it has ended.

Run as `python -m lab.supervisor FOLDER`, by nspawn.Machine.start only.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import FrameType

from ecs_appliance.core.errors import as_failure
from ecs_appliance.core.log import masked
from ecs_appliance.core.runner import SystemRunner
from lab.cgroups import fresh_group
from lab.cleanup import SYSTEMD_RUNS, clear_remains
from lab.identity import Identity, find_init, identify
from lab.state import Folder, Processes, Spec

# systemd-nspawn's own way to say that the machine wants to boot again.
REBOOT = 133
POLL_SECONDS = 0.02
MODPROBE_SECONDS = 20


def keep(folder: Folder, runner: SystemRunner) -> None:
    """Boot the machine of `folder` as often as it asks for it; returns when it has ended for good."""
    spec = Spec.load(folder.spec)
    try:
        while _boot_once(folder, spec, runner) == REBOOT:
            pass
    finally:
        clear_remains(spec, runner)
        folder.process.unlink(missing_ok=True)


# The scope's own rules let hardly any device node be made, not even by docker when it unpacks an image. Made they may
# be, and that is all: opened still only the few that a container has, and what backups are mounted by.
FUSE = Path("/dev/fuse")
SCOPE = ("--property=DeviceAllow=char-* m", "--property=DeviceAllow=block-* m", f"--property=DeviceAllow={FUSE} rwm")
# There once this host's kernel has packets within a bridge pass its rules: docker in the machine keeps containers apart
# by that, and cannot load the module itself.
BRIDGE_FILTER = Path("/proc/sys/net/bridge")


def plan_nspawn(folder: Folder, spec: Spec, *, host_systemd: bool) -> list[str | Path]:
    """The command that boots the machine; with `host_systemd` nspawn gets a scope from this host's systemd."""
    return [
        "systemd-nspawn",
        "--quiet",
        "--boot",
        "--settings=no",
        "--register=no",
        *(SCOPE if host_systemd else ["--keep-unit"]),
        f"--directory={folder.root}",
        f"--machine={spec.name}",
        f"--network-bridge={spec.network.bridge}",
        "--resolv-conf=off",
        "--timezone=off",
        "--link-journal=no",
        "--console=pipe",
        "--kill-signal=SIGRTMIN+4",
        # Docker in the machine needs the rest; with these two it could set this host's clock and load into its kernel.
        "--capability=all",
        "--drop-capability=CAP_SYS_TIME,CAP_SYS_MODULE",
        "--system-call-filter=add_key keyctl bpf @mount",
        *([f"--bind={FUSE}"] if FUSE.exists() else []),
        *(f"--bind={mount.source}:{mount.target}" for mount in spec.mounts),
    ]


def _boot_once(folder: Folder, spec: Spec, runner: SystemRunner) -> int:
    host_systemd = SYSTEMD_RUNS.is_dir()
    command = plan_nspawn(folder, spec, host_systemd=host_systemd)
    env = {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
    if not BRIDGE_FILTER.exists():
        runner.run(["modprobe", "br_netfilter"], timeout=MODPROBE_SECONDS)
    with fresh_group(spec.group if not host_systemd else None):
        nspawn = runner.spawn(command, env=env, output=folder.log)

    def hand_on(_number: int, _frame: FrameType | None) -> None:
        nspawn.terminate()

    signal.signal(signal.SIGTERM, hand_on)
    noted = Processes(keeper=identify(os.getpid()), nspawn=identify(nspawn.pid))
    noted.save(folder.process)
    init = _wait_for_init(nspawn.poll, nspawn.pid)
    replace(noted, init=init).save(folder.process)
    ended = nspawn.wait()
    if init is not None:
        init.send(signal.SIGKILL)  # it outlives an nspawn that somebody killed
    return ended


def _wait_for_init(poll: Callable[[], int | None], nspawn: int) -> Identity | None:
    while poll() is None:
        pid = find_init(nspawn)
        if pid is not None:
            return identify(pid)
        time.sleep(POLL_SECONDS)
    return None


def main(folder: Folder) -> int:
    """Keep the machine of `folder`; what fails goes to its log, for nobody watches this process."""
    try:
        keep(folder, SystemRunner())
    except Exception as error:  # noqa: BLE001 # the boundary of this program
        failure = as_failure(error)
        with folder.log.open("a") as log:
            log.write(f"the keeper of this machine failed: {masked(failure.message)}\n")
        return failure.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(Folder(Path(sys.argv[1]))))
