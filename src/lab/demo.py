"""The demonstration: create a running site in a separate machine, by the same code path as on a server.

Every step checks whether it has been done, so that a second run resumes where the first one ended.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ecs_appliance.core.errors import ApplianceError, NotRunningError
from ecs_appliance.core.files import write_atomic
from ecs_appliance.core.locks import locked
from ecs_appliance.core.log import register_secret
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import SystemRunner
from ecs_appliance.core.state import StateFile
from ecs_appliance.core.steps import Steps
from ecs_appliance.env.create import render
from lab.base import provide_base
from lab.caches import CACHE, plan_mounts, provide_downloads, save_downloads
from lab.health import failed_units, journal_tail, wait_up
from lab.nspawn import NspawnMachine
from lab.packages import FOR_MACHINES, install_packages, missing_packages
from lab.production import refuse_production
from lab.progress import Progress
from lab.repositories import ensure_signing_key, publish_checkout, publish_folder, sign

CHECKOUT = Path(__file__).parents[2]
DOMAIN = "ecs.demo.internal"
SOURCE = "/srv/git/ecs-appliance.git"
CLONE = "/root/ecs-appliance"
FETCH = f"""
if [ -d {CLONE}/.git ]
then git -C {CLONE} fetch --quiet origin main && git -C {CLONE} reset --quiet --hard FETCH_HEAD
else git clone --quiet {SOURCE} {CLONE}
fi
"""
# As in the operator's manual, chapter Activate; also removes the latch of an earlier attempt.
ACTIVATE = """
chmod 0600 /app/env.yml
cp /app/env.yml /run/active-env.yml
rm -f /run/appliance-failed /run/appliance_failed
# A developer amends commits: the next one may not descend from the one that runs.
if [ -d /app/etc/flags ]; then touch /app/etc/flags/force.update.appliance; fi
systemctl reset-failed
systemctl start --no-block appliance-update
"""
CREATE_DATABASE = """
psql --no-psqlrc --list --quiet --tuples-only --no-align | grep -q '^ecs|' ||
    createdb ecs -T template0 -l de_DE.utf8
"""
INSTALL_SECONDS = 1800.0
SITE_SECONDS = 1800.0
SHORT_SECONDS = 120.0
LOCK_SECONDS = 5.0


@dataclass(frozen=True)
class DemoState:
    """The state of a demonstration between runs. It contains the first login, so only the owner can read its file."""

    installed: str = ""
    activated: list[str] = field(default_factory=list)
    user: str = ""
    password: str = ""


@dataclass(frozen=True)
class DemoSite:
    """The site that a demonstration created, as `--json` prints it; `steps` are in seconds."""

    ok: bool
    url: str
    address: str
    user: str
    password: str
    ca_file: str
    steps: dict[str, float]

    def to_json(self) -> str:
        """Return one line of JSON."""
        return json.dumps(asdict(self))


class Demonstration:
    """The demonstration in the machine `name`."""

    def __init__(self, name: str, progress: Progress, paths: Paths | None = None) -> None:
        self.paths = paths or Paths()
        self.runner = SystemRunner()
        self.machine = NspawnMachine(name, self.runner, self.paths)
        self.progress = progress
        self.steps = Steps([progress])
        self._state_file = StateFile(self.machine.folder.path / "demo.json", DemoState)

    @property
    def ca_file(self) -> Path:
        """Return the file with the machine's certificate, for clients on this host."""
        return self.machine.folder.path / "ca.pem"

    @property
    def signing_key(self) -> Path:
        """Return the key that signs the code of all machines (one may recover another's backup); none has a copy."""
        return self.paths.at(CACHE) / "signing-key"

    def run(self) -> DemoSite:
        """Create the site, or what is missing of it.

        Raise RefusedError on a production machine, ApplianceError explaining the failed step.
        """
        refuse_production(self.paths)
        with locked(self.machine.folder.lock, "the demonstration", wait=LOCK_SECONDS):
            try:
                return self._run()
            finally:
                if self.machine.exists:
                    save_downloads(self.machine.folder, self.paths)

    def copy(self, source: "Demonstration") -> DemoSite:
        """Copy the finished demonstration `source`, whose machine is stopped, to this one, and wait for the site.

        Raise ApplianceError explaining what failed, also if `source` runs.
        """
        with locked(self.machine.folder.lock, "the demonstration", wait=LOCK_SECONDS):
            with self._step("copy", f"copy of {source.machine.name}"):
                self.machine.copy(source.machine)
                file = self.machine.folder.root / "app/env.yml"
                theirs, own = (str(machine.spec.network.address) for machine in (source.machine, self.machine))
                write_atomic(file, file.read_text().replace(theirs, own), mode=0o600)
                self.machine.start()
            with self._step("site", "site"):
                wait_up(self.machine, self.ca_file, seconds=SITE_SECONDS, on_progress=self.progress.note)
            return self._site()

    def install(self, prepare: str = "") -> list[str]:
        """Create a machine with the appliance installed and no env.yml yet; return the commits published.

        `prepare` is a shell script that runs in the machine first, in place of its administrator.
        """
        with self._step("packages", "host packages"):
            install_packages(missing_packages(FOR_MACHINES), self.runner)
        with self._step("base", "base image: Debian 13"):
            base = provide_base(self.paths.at(CACHE) / "base", self.runner)
        with self._step("repositories", "git repositories"):
            commits = self._publish()
        with self._step("machine", "machine"):
            self._boot(base)
            self.machine.guest.sh(prepare, timeout=INSTALL_SECONDS)
        with self._step("install", "appliance install, as on a server"):
            self._install(commits[0])
        return commits

    def _run(self) -> DemoSite:
        commits = self.install()
        with self._step("environment", "env.yml"):
            self._write_env()
        with self._step("database", "database"):
            self.machine.guest.run(["sh", "-euc", CREATE_DATABASE], user="postgres", cwd="/", timeout=SHORT_SECONDS)
        with self._step("activate", "activation"):
            self._activate(commits)
        with self._step("site", "site"):
            wait_up(self.machine, self.ca_file, seconds=SITE_SECONDS, on_progress=self.progress.note)
            self._remember(activated=commits)
        with self._step("user", "first login"):
            self._create_user()
        return self._site()

    @contextmanager
    def _step(self, name: str, title: str) -> Iterator[None]:
        try:
            with self.steps.step(name, title):
                yield
        except ApplianceError as error:
            raise self._explained(title, error) from error

    def _explained(self, title: str, error: ApplianceError) -> ApplianceError:
        name = self.machine.name
        again = (
            f"look inside: appliance demo shell --name {name}; fix the cause, then run the demo again to resume here"
        )
        journal = "" if " failed:\n" in error.message else self._failures()
        return ApplianceError(f"{title}: {error.message}{journal}", error.hint or again)

    def _failures(self) -> str:
        try:
            guest = self.machine.guest
        except NotRunningError:
            return ""
        return "".join(f"\n{unit} failed:\n{journal_tail(guest, unit)}" for unit in failed_units(guest))

    def _publish(self) -> list[str]:
        git = self.machine.folder.git
        commits = {
            "ecs-appliance.git": publish_checkout(CHECKOUT, git / "ecs-appliance.git", self.runner),
            "ecs.git": publish_folder(CHECKOUT / "demo/ecs", git / "ecs.git", self.runner),
            "ecs-docs.git": publish_folder(CHECKOUT / "demo/docs", git / "ecs-docs.git", self.runner),
        }
        ensure_signing_key(self.signing_key, self.runner)
        for name, commit in commits.items():
            sign(git / name, commit, self.signing_key, self.runner)
        return list(commits.values())

    def _boot(self, base: Path) -> None:
        if not self.machine.exists:
            self.machine.folder.path.chmod(0o700)
            provide_downloads(self.machine.folder, self.paths)
            self.machine.create(base, plan_mounts(self.machine.folder, self.paths))
        self.machine.start()

    def _install(self, commit: str) -> None:
        if self._state().installed:
            return  # the appliance's own update installs newer commits
        guest = self.machine.guest
        guest.run(["sh", "-euc", FETCH], timeout=SHORT_SECONDS)
        install = ["./appliance", "install", "--yes", "--source", SOURCE]
        guest.run(install, cwd=CLONE, timeout=INSTALL_SECONDS, on_line=self.progress.note)
        self._remember(installed=commit)

    def _write_env(self) -> None:
        guest = self.machine.guest
        if guest.run(["test", "-s", "/app/env.yml"], timeout=SHORT_SECONDS, ok=(0, 1)).returncode:
            address = str(self.machine.spec.network.address)
            signer = ensure_signing_key(self.signing_key, self.runner)
            text = render(DOMAIN, plan_overrides(address, signer), runner=self.runner)
            guest.push("/app/env.yml", adapt_env(address, text), mode=0o600)

    def _activate(self, commits: list[str]) -> None:
        if self._state().activated != commits:
            self.machine.guest.run(["sh", "-euc", ACTIVATE], timeout=SHORT_SECONDS)

    def _create_user(self) -> None:
        if self._state().user:
            return
        # --reset: after an interruption here, the user exists, but the password is unknown.
        words = ["create-internal-user.sh", f"office@{DOMAIN}", "Demo", "Office", "f", "--reset", "--json"]
        created = json.loads(self.machine.guest.run(words, timeout=SHORT_SECONDS).lines()[-1])
        self._remember(user=created["user"], password=created["password"])

    def _site(self) -> DemoSite:
        state = self._state()
        address = str(self.machine.spec.network.address)
        return DemoSite(
            ok=True,
            url=f"https://{address}/",
            address=address,
            user=state.user,
            password=state.password,
            ca_file=str(self.ca_file),
            steps=self.steps.seconds,
        )

    def _state(self) -> DemoState:
        state = self._state_file.read() or DemoState()
        register_secret(state.password)
        return state

    def _remember(self, **changes: Any) -> None:
        self._state_file.write(replace(self._state(), **changes))


def adapt_env(address: str, text: str) -> str:
    """Return the env.yml `text` with settings for trying the site out: by its `address`, with only a password."""
    changes = {
        "ALLOWED_HOSTS = [DOMAIN]": f"ALLOWED_HOSTS = [DOMAIN, '{address}']",
        "ECS_REQUIRE_CLIENT_CERTS = True": "ECS_REQUIRE_CLIENT_CERTS = False",
    }
    for line, changed in changes.items():
        if line not in text:
            raise ValueError(f"the template of env.yml has no line {line}")
        text = text.replace(line, changed)
    return text


def plan_overrides(address: str, signer: str) -> dict[str, object]:
    """Return the settings in which a demonstration's env.yml differs from one for production.

    Its site can also be reached by `address`, and runs code signed by the public key `signer`.
    """
    return {
        "appliance.allowed_hosts": f"{DOMAIN} {address}",
        "appliance.ssl.letsencrypt.enabled": False,
        "appliance.storage.ignore.volatile": True,
        "appliance.storage.ignore.data": True,
        "appliance.storage.proxy_cache": True,
        # A Debian mirror near this host may have a private address, which must be listed.
        "appliance.network.egress.builds": ["internet:80", "internet:443", "deb.debian.org:80"],
        "appliance.git.source": SOURCE,
        "appliance.git.signers": [signer],
        "ecs.git.source": "/srv/git/ecs.git",
        "ecs.git.signers": [signer],
        "ecs.docs.git.source": "/srv/git/ecs-docs.git",
        "ecs.docs.git.signers": [signer],
    }
