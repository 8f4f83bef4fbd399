"""The supervisor of a running machine: boot it again when it reboots, and clean up when it has ended.

NspawnMachine.start runs it as `python -m lab.supervisor FOLDER`.
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
from lab.cleanup import SYSTEMD_RUNS, clean_up_host
from lab.identity import ProcessIdentity, find_init, identify
from lab.state import MachineFolder, Processes, Spec

# The exit code of systemd-nspawn when the machine requests a reboot.
REBOOT = 133
POLL_SECONDS = 0.02
MODPROBE_SECONDS = 20
# By default the scope allows creating hardly any device node, which docker needs to unpack images. Here all may be
# created, but opened only the few that a container has, and the one for mounting backups.
FUSE = Path("/dev/fuse")
SCOPE = ("--property=DeviceAllow=char-* m", "--property=DeviceAllow=block-* m", f"--property=DeviceAllow={FUSE} rwm")
# Exists once this host's kernel applies its packet filter within bridges. Docker in the machine uses that to isolate
# containers, but cannot load the module itself.
BRIDGE_FILTER = Path("/proc/sys/net/bridge")


def supervise(folder: MachineFolder, runner: SystemRunner) -> None:
    """Boot the machine of `folder`, again after each reboot; return when it has ended for good."""
    spec = Spec.load(folder.spec)
    try:
        while _boot_once(folder, spec, runner) == REBOOT:
            pass
    finally:
        clean_up_host(spec, runner)
        folder.process.unlink(missing_ok=True)


def plan_nspawn(folder: MachineFolder, spec: Spec, *, host_systemd: bool) -> list[str | Path]:
    """Return the command that boots the machine; with `host_systemd`, nspawn gets a scope from this host's systemd."""
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
        # Docker in the machine needs the others; these two would let it set this host's clock and load kernel modules.
        "--capability=all",
        "--drop-capability=CAP_SYS_TIME,CAP_SYS_MODULE",
        "--system-call-filter=add_key keyctl bpf @mount",
        *([f"--bind={FUSE}"] if FUSE.exists() else []),
        *(f"--bind={mount.source}:{mount.target}" for mount in spec.mounts),
    ]


def _boot_once(folder: MachineFolder, spec: Spec, runner: SystemRunner) -> int:
    host_systemd = SYSTEMD_RUNS.is_dir()
    command = plan_nspawn(folder, spec, host_systemd=host_systemd)
    env = {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
    if not BRIDGE_FILTER.exists():
        runner.run(["modprobe", "br_netfilter"], timeout=MODPROBE_SECONDS)
    with fresh_group(spec.group if not host_systemd else None):
        nspawn = runner.spawn(command, env=env, output=folder.log)

    def pass_on(_number: int, _frame: FrameType | None) -> None:
        nspawn.terminate()

    signal.signal(signal.SIGTERM, pass_on)
    processes = Processes(supervisor=identify(os.getpid()), nspawn=identify(nspawn.pid))
    processes.save(folder.process)
    init = _wait_for_init(nspawn.poll, nspawn.pid)
    replace(processes, init=init).save(folder.process)
    exit_code = nspawn.wait()
    if init is not None:
        init.send(signal.SIGKILL)  # it outlives an nspawn that was killed
    return exit_code


def _wait_for_init(poll: Callable[[], int | None], nspawn: int) -> ProcessIdentity | None:
    while poll() is None:
        pid = find_init(nspawn)
        if pid is not None:
            return identify(pid)
        time.sleep(POLL_SECONDS)
    return None


def main(folder: MachineFolder) -> int:
    """Supervise the machine of `folder`; write a failure to its log, since this process's output is not shown."""
    try:
        supervise(folder, SystemRunner())
    except Exception as error:  # noqa: BLE001 # this program's error boundary
        failure = as_failure(error)
        with folder.log.open("a") as log:
            log.write(f"the supervisor of this machine failed: {masked(failure.message)}\n")
        return failure.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(MachineFolder(Path(sys.argv[1]))))
