"""All obstacles to an installation are reported at once."""

from dataclasses import replace

import pytest

from ecs_appliance.core.errors import ExitCode, RefusedError
from ecs_appliance.lifecycle.preflight import HostFacts, check_machine, find_blockers

GOOD = HostFacts(
    "debian 13", root=True, memory_mb=4096, free_bytes=20 * 10**9, port_conflicts=(), uid_owner=None, systemd=True
)


def test_a_fresh_machine_is_taken() -> None:
    check_machine(GOOD, force=False)


def test_all_objections_at_once() -> None:
    bad = HostFacts(
        "ubuntu 16.04",
        root=False,
        memory_mb=512,
        free_bytes=10**9,
        port_conflicts=("80", "443"),
        uid_owner="debian",
        systemd=False,
    )
    with pytest.raises(RefusedError) as caught:
        check_machine(bad, force=True)
    assert caught.value.exit_code == ExitCode.REFUSED
    for word in ("ubuntu 16.04", "root", "80", "443", "debian", "systemd"):
        assert word in caught.value.message
    assert len(find_blockers(bad)) == 8


def test_force_overrules_only_the_soft_ones() -> None:
    small = replace(GOOD, memory_mb=1000, free_bytes=10**9)
    with pytest.raises(RefusedError, match="--force overrides"):
        check_machine(small, force=False)
    check_machine(small, force=True)
    with pytest.raises(RefusedError, match="root is needed"):
        check_machine(replace(small, root=False), force=True)


def test_an_appliance_is_installed_over_itself() -> None:
    check_machine(replace(GOOD, uid_owner="app"), force=False)
