"""Every fault is reported by `status` and `alerts` with a next step, until it is fixed: one test per fault."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.faults import FAULTS, STAGES
from tests.machine.backups import USUAL, quiet

if TYPE_CHECKING:
    from tests.machine.conftest import Demo, Until

# The interval of the checks, plus their duration.
MINUTE = 60.0
UP = 300.0
AT_ONCE = 300.0
# Each takes half a minute, and takes the same way as "appliance gives up".
SLOW = {f"{stage} gives up" for stage in STAGES} - {"appliance gives up"}
METRICS = "cat /var/lib/prometheus/node-exporter/appliance-alerts.prom"
SETTLED = (
    "systemctl list-units --no-legend --plain --state=activating,deactivating 'service-failed@*' 'appliance-failed@*'"
)


def found(demo: "Demo") -> dict[str, Any]:
    """Return the output of `appliance status`, with its exit code."""
    done = demo.exec(["appliance", "status", "--json"], timeout=60)
    seen: dict[str, Any] = json.loads(done.stdout)
    return {**seen, "code": done.returncode}


def named(seen: dict[str, Any]) -> dict[str, dict[str, str]]:
    return {alert["topic"]: alert for alert in seen["alerts"] if alert["topic"] not in USUAL}


@pytest.fixture(autouse=True, scope="module")
def no_backups(demo: "Demo") -> Iterator[None]:
    """Stop backups: one that fails during a test would be an additional fault."""
    with quiet(demo):
        yield


@pytest.fixture(autouse=True)
def well(demo: "Demo", until: "Until") -> Iterator[None]:
    """Assert that nothing is wrong any more after each fault."""
    yield
    demo.sh("systemctl reset-failed; systemctl start appliance; systemctl start appliance-check", timeout=600)
    until(lambda: not named(seen := found(demo)) and seen["up"], UP)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in FAULTS]
)
def test_a_fault_is_named_until_it_is_fixed(demo: "Demo", until: "Until", name: str) -> None:
    fault = FAULTS[name]
    try:
        demo.sh(fault.breaks, timeout=300)
        # The unit's own report may arrive a moment later.
        until(lambda: demo.sh(SETTLED) == "", MINUTE)
        seen = found(demo)
        assert seen["code"] == fault.code, seen
        alert = named(seen)[fault.topic]
        assert alert["message"] and alert["hint"]
        # As the timer does, for the metrics and the login message.
        if demo.exec(["systemctl", "start", "appliance-check"]).returncode == 0:
            assert alert["message"] in demo.sh("cat /run/motd.d/appliance")
        assert f'topic="{fault.topic}"' in demo.sh(METRICS)
    finally:
        demo.sh(fault.fixes, timeout=300)
    until(lambda: (now := found(demo))["code"] < 2 and fault.topic not in named(now), UP)
    demo.sh("systemctl start appliance-check")
    assert f'topic="{fault.topic}"' not in demo.sh(METRICS)


def test_the_timer_checks_each_minute(demo: "Demo", until: "Until") -> None:
    last = "systemctl show --value --property=ExecMainExitTimestampMonotonic appliance-check"
    before = demo.sh(last)
    until(lambda: demo.sh(last) != before, MINUTE + 10)


def test_a_domain_that_the_application_refuses_is_told_at_once(demo: "Demo") -> None:
    """With a setting that only Python can evaluate; plain ones are refused by `env check` beforehand."""

    def refuse(env: Any) -> None:
        env["ecs"]["settings"] += "\nALLOWED_HOSTS = list(('other.example.org',))\n"

    demo.sh("cp -a /app/env.yml /root/env.kept")
    try:
        demo.edit_env(refuse)
        done = demo.exec(["systemctl", "start", "appliance-update"], timeout=400)
        assert done.returncode != 0
        assert done.seconds < AT_ONCE, "the deadline of a start is ten minutes"
        seen = found(demo)
        assert (seen["code"], seen["up"]) == (2, False)
        assert "HTTP status 400" in seen["reason"], seen
        assert "unit:appliance.service" in named(seen)
    finally:
        demo.sh("cp -a /root/env.kept /app/env.yml; systemctl start appliance-update", timeout=600)


def test_programs_and_people_get_the_same_answer(demo: "Demo") -> None:
    text = demo.exec(["appliance", "status"]).stdout
    seen = found(demo)
    for part in (seen["domain"], seen["version"], seen["release"], *(alert["message"] for alert in seen["alerts"])):
        assert part in text
    assert demo.exec(["su", "nobody", "-s", "/bin/sh", "-c", "appliance status"]).returncode == 4
