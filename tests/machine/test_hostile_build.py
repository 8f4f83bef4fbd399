"""A compromised account app tries to get a file of root's into the image, where its container could read it."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.machine.conftest import Demo

FOLDER = "/var/tmp/hostile-build"
IMAGE = "hostile-build:test"
SECRET = "of-root-alone"
BUILDS = 8
# A checkout of app's like /app/ecs, below a root of its own; `zz` is a file in the commit.
PREPARE = f"""
rm -rf {FOLDER}; install -d -o app -g app {FOLDER} {FOLDER}/app {FOLDER}/app/ecs
install -m 0600 /dev/null {FOLDER}.secret; echo {SECRET} >{FOLDER}.secret
cd {FOLDER}/app/ecs
printf 'FROM debian:trixie-slim\\nCOPY . /x\\n' >Dockerfile; echo honest >zz; chown app:app Dockerfile zz
setpriv --reuid=app --regid=app --clear-groups sh -euc '
export HOME=/nonexistent GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
git init -q .; git add .; git commit -qm one'
"""
SWAP = f"""
import os, time
os.chdir("{FOLDER}/app/ecs")
while True:
    for make in (lambda: os.symlink("{FOLDER}.secret", "new"), lambda: open("new", "w").close()):
        make()
        os.rename("new", "zz")
"""
BUILD = f"""
from pathlib import Path
from ecs_appliance.app.source import Sources, archived
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import SystemRunner
from ecs_appliance.host import docker, git

paths, runner = Paths(Path("{FOLDER}")), SystemRunner()
commit = git.head(runner, paths.source, user="app")
for _ in range({BUILDS}):
    with archived(runner, paths, Sources(git.Commit(commit), None), user="app") as archive:
        docker.build(runner, docker.Build(None, ("{IMAGE}",)), lambda line: None, archive=archive)
    task = docker.Task("hostile-build", "{IMAGE}", ("-c", "ls -l /x; cat /x/zz"), entrypoint="/bin/sh")
    print(docker.run_once(runner, task, timeout=60).stdout)
"""


@pytest.fixture
def swapping(demo: "Demo") -> "Iterator[None]":
    """Have uid 1000 keep swapping a file of its checkout between a link to a file of root's and an empty file."""
    demo.sh(PREPARE)
    unit = "hostile-build-swap"
    demo.exec(["systemd-run", f"--unit={unit}", "--uid=app", "--collect", "python3", "-c", SWAP])
    yield
    demo.sh(f"systemctl stop {unit}; docker image rm --force {IMAGE}; rm -rf {FOLDER} {FOLDER}.secret")


@pytest.mark.usefixtures("swapping")
def test_no_file_of_roots_gets_into_the_image(demo: "Demo") -> None:
    built = demo.exec(["/app/appliance/.venv/bin/python", "-c", BUILD], timeout=500)
    assert built.returncode == 0, built.stderr
    assert built.stdout.count("honest") == BUILDS, "something else than the commit was built"
    assert SECRET not in built.stdout
