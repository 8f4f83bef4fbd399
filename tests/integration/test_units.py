"""Every unit is sandboxed or on the list of those that need all of root's privileges: docs/decisions/0027."""

from pathlib import Path

import pytest

from ecs_appliance.core.runner import SystemRunner
from tests.fences import MOST, ROOT_ALL_OVER

FILES = Path(__file__).parents[2] / "salt/states/appliance/files"
SERVICES = sorted(file.name for file in (FILES / "units").glob("*.service"))


@pytest.mark.parametrize("unit", sorted(set(SERVICES) - ROOT_ALL_OVER))
def test_a_unit_is_fenced_in(unit: str) -> None:
    fence = FILES / "units" / f"{unit}.d/10-sandbox.conf"
    assert fence.is_symlink(), "link it to ../../sandbox.conf, or say in docs/decisions/0027 why not"
    assert fence.resolve() == FILES / "sandbox.conf"
    words = ["systemd-analyze", "security", "--offline=true", "--no-pager", f"--threshold={MOST}", unit]
    judged = SystemRunner().run(words, cwd=FILES / "units", timeout=30, ok=range(256))
    assert judged.returncode == 0, judged.stdout.splitlines()[-1:]


@pytest.mark.parametrize("unit", [name for name in SERVICES if name.partition("@")[0].endswith("-failed")])
def test_what_tells_of_failures_is_not_limited(unit: str) -> None:
    """A unit that keeps failing keeps triggering it; at a start limit it would be listed as failed itself."""
    assert "\nStartLimitIntervalSec=0\n" in (FILES / "units" / unit).read_text()


def test_those_that_are_root_all_over_are_still_needed_and_justified() -> None:
    assert set(SERVICES) >= ROOT_ALL_OVER
    reasons = (Path(__file__).parents[2] / "docs/decisions/0027-units-in-a-fence.md").read_text()
    assert [unit for unit in ROOT_ALL_OVER if f"`{unit.removesuffix('.service')}`" not in reasons] == []
