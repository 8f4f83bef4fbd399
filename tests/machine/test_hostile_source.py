"""An attacker can write to the repositories that the machine follows, but has no signer's key."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ecs_appliance.core.runner import SystemRunner
from lab.repositories import IDENTITY

if TYPE_CHECKING:
    from tests.machine.conftest import Demo

MARK = "/root/hostile-source-ran"
LAUNCHER = f"#!/bin/sh\ntouch {MARK}\n"
RUNNER = SystemRunner()
SECONDS = 60
UPDATE_SECONDS = 900


class Stolen:
    """A repository that an attacker controls; `restore` returns it to its first state."""

    def __init__(self, bare: Path, branch: str) -> None:
        self.bare, self.reference = bare, f"refs/heads/{branch}"
        self.head = self._git("rev-parse", self.reference)

    def plant(self, name: str, text: str, *, mode: str = "100755") -> str:
        """Publish a commit that contains only the file `name` with `text`; return its id."""
        blob = self._git("hash-object", "-w", "--stdin", data=text)
        tree = self._git("mktree", data=f"{mode} blob {blob}\t{name}\n")
        commit = self._git("commit-tree", tree, "-p", self.head, "-m", "Improve everything")
        self._git("update-ref", self.reference, commit)
        return commit

    def restore(self) -> None:
        self._git("update-ref", self.reference, self.head)

    def _git(self, *words: str, data: str = "") -> str:
        command = ["git", f"--git-dir={self.bare}", *words]
        return RUNNER.run(command, timeout=SECONDS, input=data, env=IDENTITY).stdout.strip()


@pytest.fixture
def stolen(demo: "Demo") -> Iterator[tuple[Stolen, Stolen]]:
    """Yield the repositories of the appliance and of the application."""
    folder = demo.machine.folder.git
    both = Stolen(folder / "ecs-appliance.git", "main"), Stolen(folder / "ecs.git", "master")
    yield both
    for repository in both:
        repository.restore()
    demo.exec(["systemctl", "start", "appliance-update"], timeout=UPDATE_SECONDS)
    demo.sh(f"rm -f {MARK}; systemctl reset-failed appliance-update.service")


def alerts(demo: "Demo") -> dict[str, str]:
    told = json.loads(demo.exec(["appliance", "alerts", "--json"]).stdout)
    return {alert["topic"]: f"{alert['severity']}: {alert['message']}" for alert in told["alerts"]}


def test_what_nobody_signed_neither_runs_nor_is_built(demo: "Demo", stolen: tuple[Stolen, Stolen]) -> None:
    appliance, ecs = stolen
    release = demo.sh("readlink /app/appliance")
    code = appliance.plant("appliance", LAUNCHER)
    application = ecs.plant("Dockerfile", "FROM scratch\nCOPY . /\n", mode="100644")

    demo.exec(["systemctl", "start", "appliance-update"], timeout=UPDATE_SECONDS)

    told = alerts(demo)
    assert code in told["source:appliance"] and told["source:appliance"].startswith("critical")
    assert application in told["source:ecs"] and told["source:ecs"].startswith("critical")
    assert demo.sh("readlink /app/appliance") == release
    assert demo.exec(["test", "-e", MARK]).returncode == 1, "unsigned code ran as root"
    assert demo.exec(["test", "-e", f"/app/releases/{code}"]).returncode == 1
    assert demo.exec(["docker", "image", "inspect", f"ecs/ecs:{application}"]).returncode == 1
    assert demo.answers(), "the site that ran before does not any more"

    for repository in stolen:
        repository.restore()
    demo.exec(["systemctl", "start", "appliance-update"], timeout=UPDATE_SECONDS)
    assert not {"source:appliance", "source:ecs"} & set(alerts(demo)), "still distrusted"
