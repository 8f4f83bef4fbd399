"""One demonstration for all tests of this tier, created with the command a newcomer types, and removed at the end.

If test files run in parallel, the first process creates it, and each process works on a copy.
ECS_TEST_MACHINE=NAME keeps and reuses the machine NAME instead, for writing tests.
"""

import json
import os
import ssl
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from ruamel.yaml import YAML

from ecs_appliance.core.locks import locked
from ecs_appliance.core.runner import Result, SystemRunner
from lab.demo import Demonstration
from lab.nspawn import NspawnMachine
from lab.progress import PlainProgress

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1]
LAUNCHER = CHECKOUT / "appliance"
LOGS = Path("/var/tmp/ecs-appliance-tests")
DEMO_SECONDS = 1500
TEST_SECONDS = 600
# Waits until a condition is true; see `until`.
Until = Callable[[Callable[[], bool], float], float]


@dataclass(frozen=True)
class Demo:
    """A running site: what `appliance demo --json` printed, and control of its machine."""

    name: str
    url: str
    address: str
    user: str
    password: str
    ca_file: str
    steps: dict[str, float]

    @property
    def machine(self) -> NspawnMachine:
        return NspawnMachine(self.name, SystemRunner())

    def exec(self, argv: Sequence[str], *, data: str = "", timeout: float = 300) -> Result:
        """Run `argv` as root in the machine, whatever its exit code."""
        return self.machine.guest.run(argv, data=data, timeout=timeout, ok=range(-64, 256))

    def sh(self, script: str, *, timeout: float = 300) -> str:
        """Return the output of a shell script run in the machine; raise if it fails."""
        return self.machine.guest.sh(script, timeout=timeout).strip()

    def command(self, *words: str, data: str | None = None, timeout: float = 300) -> Result:
        """Run `appliance demo --name … WORDS` on this host, whatever its exit code."""
        argv: list[str | Path] = [LAUNCHER, "demo", "--name", self.name, *words]
        return SystemRunner().run(argv, input=data, timeout=timeout, ok=range(256))

    def get(self, path: str = "/") -> httpx.Response:
        """Fetch `path` of the site, trusting only its own certificate."""
        trust = ssl.create_default_context(cafile=self.ca_file)
        with httpx.Client(verify=trust, trust_env=False, follow_redirects=True, timeout=20) as client:
            return client.get(self.url.rstrip("/") + path)

    def edit_env(self, by: Callable[[Any], None]) -> None:
        """Change the tree of /app/env.yml with a function, without activating it."""
        yaml, text = YAML(), StringIO()
        tree = yaml.load(self.machine.guest.pull("/app/env.yml").decode())
        by(tree)
        yaml.dump(tree, text)
        self.machine.guest.push("/app/env.yml", text.getvalue(), mode=0o600)

    def answers(self) -> bool:
        """Return whether the application answers now."""
        try:
            return self.get("/accounts/login/").status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give tests that boot machines more time; the first one also creates the demonstration."""
    for item in items:
        if HERE in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(TEST_SECONDS, func_only=True))


@pytest.fixture(scope="session")
def demo(request: pytest.FixtureRequest) -> Iterator[Demo]:
    """Yield the demonstration's site."""
    kept = os.environ.get("ECS_TEST_MACHINE")
    name = kept or f"test-{os.getpid()}"
    failed_before = request.session.testsfailed
    side_by_side = "PYTEST_XDIST_WORKER" in os.environ
    try:
        yield _copy(_original(os.getppid()), name) if side_by_side and not kept else _make(name)
    finally:
        if request.session.testsfailed > failed_before:
            _save_journal(name)
        if not kept:
            _destroy(name)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Remove the machine that the workers copied."""
    if session.config.getoption("numprocesses", None) and "PYTEST_XDIST_WORKER" not in os.environ:
        _destroy(_original(os.getpid()))


@pytest.fixture
def until() -> Until:
    """Return a function that waits for a condition: it returns the seconds this took, or fails after a limit."""

    def wait(met: Callable[[], bool], seconds: float) -> float:
        began = time.monotonic()
        while not met():
            if time.monotonic() - began > seconds:
                pytest.fail(f"not within {seconds:g} s")
            time.sleep(0.5)
        return time.monotonic() - began

    return wait


def _original(controller: int) -> str:
    """Return the name of the machine that all workers of the process `controller` copy."""
    return f"base-{controller}"


def _copy(original: str, name: str) -> Demo:
    """Create the machine `name` as a copy of `original`, which the first worker creates."""
    source = Demonstration(original, PlainProgress(sys.stderr))
    with locked(LOGS / "lock", "making a site", wait=DEMO_SECONDS):
        if not source.machine.exists or source.machine.running:
            _make(original)
            source.machine.stop()
    made = asdict(Demonstration(name, PlainProgress(sys.stderr)).copy(source))
    assert made.pop("ok") is True
    return Demo(name=name, **made)


def _destroy(name: str) -> None:
    SystemRunner().run([LAUNCHER, "demo", "--name", name, "destroy"], timeout=300)


def _make(name: str) -> Demo:
    result = SystemRunner().run(
        [LAUNCHER, "demo", "--name", name, "--json"], timeout=DEMO_SECONDS, ok=range(256), env={"CI": "true"}
    )
    if result.returncode != 0:
        _save_journal(name)
        pytest.fail(f"appliance demo failed:\n{result.stderr}")
    made: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    assert made.pop("ok") is True
    return Demo(name=name, **made)


def _save_journal(name: str) -> None:
    machine = NspawnMachine(name, SystemRunner())
    if not machine.running:
        return
    LOGS.mkdir(parents=True, exist_ok=True)
    file = LOGS / f"{name}.journal"
    file.write_text(machine.guest.sh("journalctl --no-pager --boot=all", timeout=120))
    file.chmod(0o600)
