"""Wrap docker's command line. Values of environment variables never appear in an argv."""

import csv
import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import IO

from ecs_appliance.core import folders
from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.core.runner import CommandError, Process, Result, Runner, SystemRunner
from ecs_appliance.host.networks import DockerNetwork

ASK_SECONDS = 60
# Compose project of the site's containers.
PROJECT = "ecs"
BUILD_SECONDS = 3600
IMPORT_SECONDS = 600
# The slice that limits the containers' memory; one-off containers count towards it too.
SLICE = "ecs.slice"
# Grace period for stopping a container; longer than the slowest one needs.
STOP_SECONDS = 15


@dataclass(frozen=True)
class Image:
    """An image as reported by `docker image inspect`; `created` is RFC 3339."""

    id: str
    tags: tuple[str, ...]
    created: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Container:
    """The state of a container; `health` is "" without a health check, `service` if compose did not create it."""

    name: str
    service: str
    status: str
    health: str
    exit_code: int
    pid: int

    @property
    def up(self) -> bool:
        """Return whether it is running and, if it has a health check, healthy."""
        return self.status == "running" and self.health in ("", "healthy")


@dataclass(frozen=True)
class Build:
    """What to build: `context` is the Dockerfile's folder (None: an archive), `tags` are the names of the image."""

    context: Path | None
    tags: tuple[str, ...]
    args: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ContainerMount:
    """A bind mount of `source` on the host at `target` in the container."""

    source: Path
    target: str
    read_only: bool = False


@dataclass(frozen=True)
class Task:
    """A container that runs once.

    `env` is passed without appearing in any argv. The container has only the given `capabilities`, cannot gain
    others, and has no network except `network`. `tmpfs` lists mount points with their options.
    """

    name: str
    image: str
    argv: tuple[str, ...]
    mounts: tuple[ContainerMount, ...] = ()
    tmpfs: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    env_files: tuple[Path, ...] = ()
    network: DockerNetwork | None = None
    entrypoint: str = ""
    user: str = ""
    capabilities: tuple[str, ...] = ()
    slice: str = SLICE
    options: tuple[str, ...] = ()


def inspect_image(runner: Runner, reference: str) -> Image | None:
    """Return the image that `reference` (a tag or an id) names, or None."""
    for found in _inspect(runner, "image", reference):
        labels = found["Config"].get("Labels") or {}
        return Image(found["Id"], tuple(found.get("RepoTags") or ()), found["Created"], labels)
    return None


def image_exists(runner: Runner, reference: str) -> bool:
    """Return whether `reference` names an image on this machine."""
    return inspect_image(runner, reference) is not None


def image_id(runner: Runner, reference: str) -> str | None:
    """Return the id of the image that `reference` names, or None."""
    image = inspect_image(runner, reference)
    return image.id if image else None


def import_tar(runner: Runner, archive: Path, reference: str, *, labels: Mapping[str, str] | None = None) -> str:
    """Import the tar of a root filesystem as image `reference` and return its id."""
    changes = [f"--change=LABEL {name}={json.dumps(value)}" for name, value in (labels or {}).items()]
    command = ["docker", "import", *changes, '--change=CMD ["bash"]', str(archive), reference]
    return runner.run(command, timeout=IMPORT_SECONDS).stdout.strip()


def tag(runner: Runner, image: str, reference: str) -> None:
    """Add the tag `reference` to `image`."""
    runner.run(["docker", "tag", image, reference], timeout=ASK_SECONDS)


def build(runner: Runner, build: Build, on_line: Callable[[str], None], *, archive: IO[bytes] | None = None) -> None:
    """Build with BuildKit and pass each line of its log to `on_line`; without a context, build from the tar `archive`.

    Do not use another account's folder as context: the client runs as root and would follow links that the account
    swaps meanwhile. Raise CommandError with the last lines of the log.
    """
    options = [f"--tag={name}" for name in build.tags]
    options += [f"--build-arg={name}={value}" for name, value in build.args.items()]
    options += [f"--label={name}={value}" for name, value in build.labels.items()]
    command = ["docker", "buildx", "build", "--progress=plain", "--load", *options, str(build.context or "-")]
    runner.run(command, timeout=BUILD_SECONDS, on_line=on_line, input=archive)


def exec_in(
    runner: Runner,
    container: str,
    argv: Sequence[str],
    *,
    input: str | bytes | None = None,  # noqa: A002 # as in Runner.run
    timeout: float = ASK_SECONDS,
    user: str = "",
) -> Result:
    """Run `argv` in the running `container`. Raise CommandError if it fails or the container is not running."""
    options = ["--interactive"] if input is not None else []
    options += [f"--user={user}"] if user else []
    return runner.run(["docker", "exec", *options, container, *argv], timeout=timeout, input=input)


def run_once(
    runner: Runner,
    task: Task,
    *,
    timeout: float,
    input: str | bytes | None = None,  # noqa: A002
    on_line: Callable[[str], None] | None = None,
    ok: Sequence[int] = (0,),
) -> Result:
    """Run `task` to completion in a container that is removed afterwards, also after a timeout (seconds) or failure.

    First remove a container of this name that an interrupted run left behind. Raise CommandError or DeadlineError.
    """
    remove_container(runner, task.name)
    if task.network:
        ensure_network(runner, task.network)
    command = _run_command(task, interactive=input is not None)
    try:
        return runner.run(command, timeout=timeout, input=input, env=task.env, on_line=on_line, ok=ok)
    finally:
        # A timeout only kills docker's client; the container would keep running.
        remove_container(runner, task.name)


def remove_container(runner: Runner, name: str) -> None:
    """Kill and remove the container `name` if it exists."""
    runner.run(["docker", "rm", "--force", "--volumes", name], timeout=ASK_SECONDS, ok=(0, 1))


def ensure_network(runner: Runner, network: DockerNetwork) -> None:
    """Create `network` if it is missing; its containers cannot reach each other."""
    if _inspect(runner, "network", network.name):
        return
    bridge = "com.docker.network.bridge"
    options = [f"--opt={bridge}.name={network.bridge}", f"--opt={bridge}.enable_icc=false"]
    command = ["docker", "network", "create", f"--subnet={network.subnet}", *options, network.name]
    runner.run(command, timeout=ASK_SECONDS)


def inspect_container(runner: Runner, name: str) -> Container | None:
    """Return the state of the container `name`, or None if it does not exist."""
    return next(map(_container, _inspect(runner, "container", name)), None)


def project_containers(runner: Runner, project: str) -> tuple[Container, ...]:
    """Return the containers of compose project `project` sorted by name, also exited ones, without `compose run`'s."""
    command = ["docker", "ps", "--all", "--quiet", *_of_project(project)]
    ids = runner.run(command, timeout=ASK_SECONDS).lines()
    found = _inspect(runner, "container", *ids) if ids else []
    return tuple(sorted(map(_container, found), key=lambda container: container.name))


def follow_ends(runner: SystemRunner, project: str, on_end: Callable[[str], None]) -> Process:
    """Start a process that calls `on_end` with the name of each container of `project` that exits or is removed."""
    filters = [*_of_project(project), "--filter=event=die", "--filter=event=destroy"]
    return runner.spawn(["docker", "events", *filters, "--format={{.Actor.Attributes.name}}"], on_line=on_end)


def container_addresses(runner: Runner) -> dict[str, str]:
    """Return the names of the running containers by IP address."""
    ids = runner.run(["docker", "ps", "--quiet"], timeout=ASK_SECONDS).lines()
    template = "{{.Name}}{{range .NetworkSettings.Networks}} {{.IPAddress}} {{.GlobalIPv6Address}}{{end}}"
    command = ["docker", "inspect", f"--format={template}", *ids]
    # A container that has just exited makes inspect return 1.
    lines = runner.run(command, timeout=ASK_SECONDS, ok=(0, 1)).lines() if ids else []
    found = (line.split() for line in lines)
    return {address: name.removeprefix("/") for name, *addresses in found for address in addresses}


def list_tags(runner: Runner, repository: str) -> list[str]:
    """Return all `repository:tag` names of `repository`, newest first."""
    command = ["docker", "image", "ls", "--format={{.Repository}}:{{.Tag}}", repository]
    return [name for name in runner.run(command, timeout=ASK_SECONDS).lines() if not name.endswith(":<none>")]


def prune(runner: Runner, repositories: Collection[str], keep: Collection[str]) -> list[str]:
    """Remove the tags of `repositories` that are not in `keep`, then untagged images; return the removed tags.

    Also remove anonymous volumes that no container uses. Images in use and named volumes stay.
    """
    removed = []
    for repository in repositories:
        for name in list_tags(runner, repository):
            gone = name not in keep and _remove_tag(runner, name)
            removed += [name] if gone else []
    for what in ("image", "volume"):
        runner.run(["docker", what, "prune", "--force"], timeout=IMPORT_SECONDS)
    return removed


def bound_layers(runner: Runner, size: int) -> None:
    """Limit the build cache, apart from the layers of images, to `size` bytes; the least recently used go first."""
    command = ["docker", "builder", "prune", "--force", f"--keep-storage={size}"]
    runner.run(command, timeout=IMPORT_SECONDS)


def _remove_tag(runner: Runner, name: str) -> bool:
    return runner.run(["docker", "image", "rm", name], timeout=IMPORT_SECONDS, ok=(0, 1)).returncode == 0


def _run_command(task: Task, *, interactive: bool) -> list[str]:
    # The runner receives the output; docker's own log would store it a second time.
    network = task.network.name if task.network else "none"
    options = [f"--name={task.name}", "--rm", "--init", "--log-driver=none", f"--network={network}"]
    options += ["--security-opt=no-new-privileges:true", "--cap-drop=ALL"]
    options += [f"--cgroup-parent={task.slice}"]
    options += [f"--cap-add={name}" for name in task.capabilities]
    options += ["--interactive"] if interactive else []
    options += [f"--entrypoint={task.entrypoint}"] if task.entrypoint else []
    options += [f"--user={task.user}"] if task.user else []
    options += [f"--env-file={file}" for file in task.env_files]
    options += [f"--env={name}" for name in task.env]
    for mount in task.mounts:
        options.append(f"--mount={_mount_option(mount)}")
    options += [f"--tmpfs={each}" for each in task.tmpfs]
    return ["docker", "run", *options, *task.options, task.image, *task.argv]


def _mount_option(mount: ContainerMount) -> str:
    """Return the mount as docker's CSV option. Raise ApplianceError if its source is a link or does not exist."""
    source = folders.real_path(mount.source.parent) / mount.source.name
    if source.is_symlink() or not (source.is_dir() or source.is_file()):
        raise ApplianceError(
            f"{mount.source} is neither a folder nor a file, so it is not mounted into a container",
            f"ls -l {mount.source}",
        )
    words = ["type=bind", f"source={source}", f"target={mount.target}", *(["readonly"] if mount.read_only else [])]
    line = StringIO()
    csv.writer(line, lineterminator="").writerow(words)
    return line.getvalue()


def _container(found: dict) -> Container:  # type: ignore[type-arg] # docker's own JSON
    state = found["State"]
    return Container(
        name=found["Name"].lstrip("/"),
        service=(found["Config"].get("Labels") or {}).get("com.docker.compose.service", ""),
        status=state["Status"],
        health=(state.get("Health") or {}).get("Status", ""),
        exit_code=state["ExitCode"],
        pid=state["Pid"],
    )


def _of_project(project: str) -> list[str]:
    labels = (f"com.docker.compose.project={project}", "com.docker.compose.oneoff=False")
    return [f"--filter=label={label}" for label in labels]


def _inspect(runner: Runner, kind: str, *names: str) -> list[dict]:  # type: ignore[type-arg] # docker's own JSON
    """Return docker's JSON for those of `names` that exist."""
    result = runner.run(["docker", kind, "inspect", *names], timeout=ASK_SECONDS, ok=(0, 1))
    if result.returncode == 0 or re.search("no such|not found", result.stderr.lower()):
        return json.loads(result.stdout or "[]")  # type: ignore[no-any-return]
    raise CommandError(
        f"docker does not answer: {result.stderr.strip()}", "systemctl status docker", returncode=result.returncode
    )
