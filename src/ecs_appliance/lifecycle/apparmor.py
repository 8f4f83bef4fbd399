"""Check that AppArmor confines the site's containers: without it, docker silently starts them unconfined."""

from collections.abc import Iterable, Mapping

from ecs_appliance.core.facts import Facts, read_facts
from ecs_appliance.core.paths import Paths
from ecs_appliance.host.docker import Container
from ecs_appliance.lifecycle.context import Context
from ecs_appliance.reporting.alerts import Finding

TOPIC = "apparmor"


def report_confinement(context: Context, containers: Iterable[Container]) -> None:
    """Raise or clear the alert about the confinement of `containers`, as the kernel reports it."""
    profiles = {container.name: _profile(context.paths, container.pid) for container in containers}
    found = judge(read_facts(context.paths), profiles)
    context.alerts.tell([TOPIC], [found] if found else [])


def judge(facts: Facts, profiles: Mapping[str, str]) -> Finding | None:
    """Return what is wrong with `profiles` by container ("" is none); None in a container, where the host decides."""
    if facts.in_container:
        return None
    if not facts.apparmor:
        hint = "boot a kernel with AppArmor, such as Debian's, without apparmor=0 on its command line"
        return Finding(
            TOPIC,
            "warning",
            "AppArmor is not active, so containers are confined only by docker's other protections",
            hint,
        )
    loose = sorted(name for name, profile in profiles.items() if not profile.endswith("(enforce)"))
    if not loose:
        return None
    hint = "systemctl restart apparmor docker; systemctl restart appliance"
    return Finding(TOPIC, "warning", f"AppArmor does not confine {', '.join(loose)}", hint)


def _profile(paths: Paths, pid: int) -> str:
    """Return the profile of the process, such as "docker-default (enforce)"; "" if it has none or has ended."""
    try:
        return paths.at(f"/proc/{pid}/attr/current").read_text().rstrip("\0\n")
    except OSError:
        return ""
