from ipaddress import IPv4Network
from pathlib import Path

import pytest

from ecs_appliance.core.errors import RefusedError
from ecs_appliance.core.paths import Paths
from lab.identity import ProcessIdentity
from lab.state import BindMount, MachineFolder, Processes, Spec
from lab.supervisor import plan_nspawn

SPEC = Spec("demo", IPv4Network("10.214.0.0/24"), (BindMount(Path("/srv/cache"), "/var/cache/apt/archives"),))


def test_a_specification_survives_being_written(tmp_path: Path) -> None:
    SPEC.save(tmp_path / "machine.json")
    assert Spec.load(tmp_path / "machine.json") == SPEC


def test_noted_processes_survive_being_written(tmp_path: Path) -> None:
    noted = Processes(supervisor=None, nspawn=ProcessIdentity(42, 1000, "boot"))
    assert Processes.load(tmp_path / "process.json") == Processes()
    noted.save(tmp_path / "process.json")
    assert Processes.load(tmp_path / "process.json") == noted


@pytest.mark.parametrize("name", ["", "Demo", "1st", "a b", "../etc", "a" * 13, "demo\n"])
def test_a_name_that_cannot_be_one_is_refused(name: str) -> None:
    with pytest.raises(RefusedError):
        MachineFolder.of(name, Paths())


def test_a_machine_never_sets_the_clock_or_loads_modules_of_this_host() -> None:
    command = plan_nspawn(MachineFolder(Path("/m")), SPEC, host_systemd=False)
    assert "--drop-capability=CAP_SYS_TIME,CAP_SYS_MODULE" in command
    assert "--bind=/srv/cache:/var/cache/apt/archives" in command


@pytest.mark.parametrize("host_systemd", [True, False])
def test_where_systemd_runs_it_gives_the_machine_its_scope(host_systemd: bool) -> None:
    command = plan_nspawn(MachineFolder(Path("/m")), SPEC, host_systemd=host_systemd)
    assert ("--keep-unit" in command) is not host_systemd
    assert ("--property=DeviceAllow=block-* m" in command) is host_systemd


def test_the_supervisor_has_the_name_in_files_that_it_always_had(tmp_path: Path) -> None:
    (tmp_path / "process.json").write_text('{"keeper": {"pid": 41, "started": 999, "boot": "boot"}}')
    processes = Processes(supervisor=ProcessIdentity(41, 999, "boot"))
    assert Processes.load(tmp_path / "process.json") == processes
    processes.save(tmp_path / "process.json")
    assert '"keeper"' in (tmp_path / "process.json").read_text()
