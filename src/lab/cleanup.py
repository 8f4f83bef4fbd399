"""Remove everything that a machine may leave on this host, however it ended."""

from pathlib import Path

from ecs_appliance.core.runner import Runner
from lab.cgroups import remove_group
from lab.network import remove_network
from lab.state import Spec

SYSTEMD_RUNS = Path("/run/systemd/system")
# Shared by nspawn and the machine; nspawn refuses to boot a machine whose folder exists.
NSPAWN_FOLDERS = (Path("/run/systemd/nspawn/unix-export"), Path("/run/systemd/nspawn/propagate"))
SLICE = "machine.slice"
SECONDS = 60.0


def clean_up_host(spec: Spec, runner: Runner) -> None:
    """Remove the scope, control group, folders of nspawn and network of a machine whose processes have ended."""
    if SYSTEMD_RUNS.is_dir():
        _stop_scope(f"{spec.name}.scope", runner)
    remove_group(spec.group)
    for folder in NSPAWN_FOLDERS:
        _remove_folder(folder / spec.name, runner)
    remove_network(spec.network, runner)


def _stop_scope(scope: str, runner: Runner) -> None:
    """Stop `scope` if nspawn created it: a session may have the same name."""
    shown = runner.run(["systemctl", "show", "--property=Slice", "--value", scope], timeout=SECONDS, ok=range(256))
    if shown.stdout.strip() == SLICE:
        runner.run(["systemctl", "stop", scope], timeout=SECONDS, ok=range(256))


def _remove_folder(folder: Path, runner: Runner) -> None:
    while folder.is_mount():
        runner.run(["umount", "--lazy", folder], timeout=SECONDS)
    if folder.is_dir():
        folder.rmdir()
