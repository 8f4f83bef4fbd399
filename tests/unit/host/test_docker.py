"""The arguments for docker's command line, and the handling of its answers."""

import io
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.core.runner import CommandError
from ecs_appliance.host import docker
from ecs_appliance.host.docker import Build, ContainerMount, Task
from tests.fakes import AnsweringRunner

TASK = Task(
    "once",
    "ecs/ecs:1",
    ("migrate",),
    env={"DATABASE_URL": "postgres://app:geheim@172.17.0.1:5432/ecs", "ECS_SETTINGS": "A = 'x'\nB = 2"},
)

GONE = "Error response from daemon: No such container: web"


class Docker(AnsweringRunner):
    """Give the same answer to every command."""

    def __init__(self, returncode: int = 0, stdout: str = "", stderr: str = "") -> None:
        super().__init__(lambda _: (returncode, stdout, stderr))


def test_secrets_reach_a_container_but_no_argv() -> None:
    runner = Docker()
    docker.run_once(runner, TASK, timeout=10)
    assert "geheim" not in str(runner.asked)
    assert runner.environment == TASK.env
    command = runner.asked[1]
    assert command[-2:] == ["ecs/ecs:1", "migrate"]
    assert {"--env=DATABASE_URL", "--env=ECS_SETTINGS", "--rm", "--init", "--name=once"} <= set(command)
    assert "--interactive" not in command


def test_a_container_gets_folders_by_names_that_docker_does_not_misread(tmp_path: Path) -> None:
    runner = Docker()
    for name in ("ecs-ca", "with, comma"):
        (tmp_path / name).mkdir()
    mounts = (
        ContainerMount(tmp_path / "ecs-ca", "/app/ecs-ca"),
        ContainerMount(tmp_path / "with, comma", "/app/x", read_only=True),
    )
    docker.run_once(runner, replace(TASK, mounts=mounts), timeout=10)
    assert f"--mount=type=bind,source={tmp_path}/ecs-ca,target=/app/ecs-ca" in runner.asked[1]
    assert f'--mount=type=bind,"source={tmp_path}/with, comma",target=/app/x,readonly' in runner.asked[1]


@pytest.mark.parametrize("what", ["link", "pipe", "nothing"])
def test_a_container_gets_nothing_that_is_neither_folder_nor_file(tmp_path: Path, what: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/etc")
    with pytest.raises(ApplianceError, match="is neither a folder nor a file, so it is not mounted"):
        docker.run_once(Docker(), replace(TASK, mounts=(ContainerMount(tmp_path / what, "/app/ecs-ca"),)), timeout=10)


def test_a_task_has_the_capabilities_it_names_and_can_gain_none() -> None:
    runner = Docker()
    docker.run_once(runner, replace(TASK, capabilities=("SETUID", "KILL")), timeout=10)
    command = runner.asked[1]
    options = ["--security-opt=no-new-privileges:true", "--cap-drop=ALL", "--cap-add=SETUID", "--cap-add=KILL"]
    assert "--cgroup-parent=ecs.slice" in command
    assert [word for word in command if word.startswith(("--security-opt", "--cap"))] == options
    assert command.index(options[-1]) < command.index(TASK.image)


def test_container_is_removed_before_and_after_even_a_failure() -> None:
    runner = Docker(returncode=1)
    with pytest.raises(CommandError):
        docker.run_once(runner, TASK, timeout=10)
    removal = ["docker", "rm", "--force", "--volumes", "once"]
    assert [words[1] for words in runner.asked] == ["rm", "run", "rm"]
    assert runner.asked[0] == runner.asked[2] == removal


def test_build_names_everything() -> None:
    runner = Docker()
    build = Build(Path("/app/ecs"), ("ecs/ecs:1",), {"GIT_REV": "1"}, {"docs": "2"})
    docker.build(runner, build, lambda _: None)
    options = ["--progress=plain", "--load", "--tag=ecs/ecs:1", "--build-arg=GIT_REV=1", "--label=docs=2"]
    assert runner.asked == [["docker", "buildx", "build", *options, "/app/ecs"]]


def test_what_has_no_folder_is_built_of_an_archive() -> None:
    runner = Docker()
    docker.build(runner, Build(None, ("ecs/ecs:1",)), lambda _: None, archive=io.BytesIO(b"tar"))
    assert runner.asked == [["docker", "buildx", "build", "--progress=plain", "--load", "--tag=ecs/ecs:1", "-"]]


def described(name: str, **state: object) -> dict[str, object]:
    full = {"Status": "running", "ExitCode": 0, "Pid": 7, **state}
    return {"Name": f"/{name}", "Config": {"Labels": {"com.docker.compose.service": f"ecs.{name}"}}, "State": full}


def container(**state: object) -> str:
    return json.dumps([described("web", **state)])


@pytest.mark.parametrize(
    ("state", "up"),
    [
        ({}, True),
        ({"Health": {"Status": "healthy"}}, True),
        ({"Health": {"Status": "starting"}}, False),
        ({"Health": {"Status": "unhealthy"}}, False),
        ({"Health": {"Status": "healthy"}, "Status": "exited"}, False),
        ({"Health": None}, True),
    ],
)
def test_health_of_a_container(state: dict[str, object], up: bool) -> None:
    found = docker.inspect_container(Docker(stdout=container(**state)), "web")
    assert found is not None
    assert (found.name, found.service, found.up) == ("web", "ecs.web", up)


def test_containers_of_a_project_are_asked_for_at_once_and_one_that_vanishes_is_left_out() -> None:
    answers = {"ps": (0, "2\n1\n3\n", ""), "container": (1, json.dumps([described("web"), described("beat")]), GONE)}
    runner = AnsweringRunner(lambda words: answers[words[1]])
    assert [found.name for found in docker.project_containers(runner, "ecs")] == ["beat", "web"]
    assert [words[1:] for words in runner.asked[1:]] == [["container", "inspect", "2", "1", "3"]]


def test_a_project_without_containers() -> None:
    runner = Docker()
    assert docker.project_containers(runner, "ecs") == ()
    assert len(runner.asked) == 1


def test_what_is_not_there() -> None:
    runner = Docker(returncode=1, stdout="[]\n", stderr=GONE)
    assert docker.inspect_container(runner, "web") is None
    assert not docker.image_exists(Docker(returncode=1, stderr="Error: No such image: x"), "x")


def test_docker_that_does_not_answer_is_not_an_absent_image() -> None:
    with pytest.raises(CommandError, match="docker does not answer"):
        docker.image_exists(Docker(returncode=1, stderr="Cannot connect to the Docker daemon"), "x")


def test_image_without_labels() -> None:
    found = json.dumps(
        [{"Id": "sha256:1", "RepoTags": None, "Created": "2026-01-01T00:00:00Z", "Config": {"Labels": None}}]
    )
    image = docker.inspect_image(Docker(stdout=found), "x")
    assert image == docker.Image("sha256:1", (), "2026-01-01T00:00:00Z", {})


def test_tags_of_a_repository() -> None:
    runner = Docker(stdout="ecs/ecs:b\necs/ecs:a\necs/ecs:<none>\n")
    assert docker.list_tags(runner, "ecs/ecs") == ["ecs/ecs:b", "ecs/ecs:a"]


def test_what_is_pruned_is_in_nobodys_use_and_volumes_with_a_name_stay() -> None:
    """Docker removes named volumes and tagged images only with --all."""
    runner = AnsweringRunner(lambda words: (0, "ecs/ecs:b\necs/ecs:a\n" if words[2] == "ls" else "", ""))
    assert docker.prune(runner, ["ecs/ecs"], ["ecs/ecs:b"]) == ["ecs/ecs:a"]
    assert [words[1:] for words in runner.asked[1:]] == [
        ["image", "rm", "ecs/ecs:a"],
        ["image", "prune", "--force"],
        ["volume", "prune", "--force"],
    ]
