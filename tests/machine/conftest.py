"""One demonstration for all tests of this tier, created with the command a newcomer types, and removed at the end.

If test files run in parallel, the first process creates it, and each process works on a copy. There is also a machine
with only the appliance installed, which tests copy that need a new one.
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
# What Debian's installer leaves for somebody in Vienna: services, too, speak German then.
AUSTRIAN = """
apt-get -qq update
apt-get -qq install -y locales >/dev/null
echo 'de_AT.UTF-8 UTF-8' >/etc/locale.gen
locale-gen >/dev/null
echo 'LANG=de_AT.UTF-8' >/etc/default/locale
"""
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
        yield _copy(_originals(os.getppid()), name) if side_by_side and not kept else _make(name)
    finally:
        if request.session.testsfailed > failed_before:
            _save_journal(name)
        if not kept:
            _destroy(name)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Remove the machines that the workers copied."""
    if session.config.getoption("numprocesses", None) and "PYTEST_XDIST_WORKER" not in os.environ:
        for name in _originals(os.getpid()):
            _destroy(name)


@pytest.fixture(scope="session")
def install() -> Callable[[Demonstration], None]:
    """Return a function that creates a machine with the appliance installed and no env.yml yet.

    Its administrator installed Debian in Austrian German.
    """

    def create(made: Demonstration) -> None:
        bare = _demonstration(_originals(os.getppid())[0])
        if "PYTEST_XDIST_WORKER" in os.environ and bare.machine.exists:
            made.machine.copy(bare.machine)
            made.machine.start()
        else:
            made.install(AUSTRIAN)

    return create


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


def _originals(controller: int) -> tuple[str, str]:
    """Return the names of the machines that all workers of the process `controller` copy: installed only, and whole."""
    return f"bare-{controller}", f"base-{controller}"


def _demonstration(name: str) -> Demonstration:
    return Demonstration(name, PlainProgress(sys.stderr))


def _copy(originals: tuple[str, str], name: str) -> Demo:
    """Create the machine `name` as a copy of the second of `originals`, which the first worker creates."""
    bare, source = map(_demonstration, originals)
    with locked(LOGS / "lock", "making a site", wait=DEMO_SECONDS):
        if not source.machine.exists or source.machine.running:
            bare.install(AUSTRIAN)
            bare.machine.stop()
            source.machine.copy(bare.machine)
            _make(source.machine.name)
            source.machine.stop()
    made = asdict(_demonstration(name).copy(source))
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
