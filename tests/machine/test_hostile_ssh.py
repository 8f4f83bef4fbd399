"""Service accounts cannot log in, and a machine that accepts passwords reports it."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ecs_appliance.core.runner import Result, SystemRunner

if TYPE_CHECKING:
    from tests.machine.conftest import Demo

OPTIONS = ("BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "ConnectTimeout=10")
# Their homes; an attacker who controls the account plants keys there.
SERVICES = {"postgres": "/var/lib/postgresql", "app": "/app"}


@pytest.fixture
def key(demo: "Demo", tmp_path: Path) -> Iterator[Path]:
    """Yield a private key whose public key root, postgres, app and an unprivileged user have."""
    SystemRunner().run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], timeout=20)
    public = (tmp_path / "key.pub").read_text().strip()
    demo.sh("useradd --create-home --shell /bin/bash maria")
    homes = {**SERVICES, "root": "/root", "maria": "/home/maria"}
    for name, home in homes.items():
        group = f"$(id -gn {name})"
        demo.sh(
            f"install -d -o {name} -g {group} -m 0700 {home}/.ssh; echo '{public}' > {home}/.ssh/authorized_keys2;"
            f"chown {name}:{group} {home}/.ssh/authorized_keys2; chmod 0600 {home}/.ssh/authorized_keys2"
        )
    try:
        yield tmp_path / "key"
    finally:
        for home in homes.values():
            demo.sh(f"rm -f {home}/.ssh/authorized_keys2")
        # The user manager outlives the session.
        demo.sh("pkill -KILL -u maria || true; until userdel --remove maria; do sleep 1; done", timeout=60)
        demo.sh("install -d -o root -g app -m 0750 /app/.ssh; appliance converge")


def login(demo: "Demo", key: Path, name: str) -> Result:
    words = [
        "ssh",
        "-F",
        "none",
        *(f"-o{option}" for option in OPTIONS),
        "-i",
        str(key),
        f"{name}@{demo.address}",
        "id -un",
    ]
    return SystemRunner().run(words, timeout=60, ok=range(256))


def test_people_log_in_and_services_do_not_whatever_keys_lie_there(demo: "Demo", key: Path) -> None:
    demo.sh("appliance converge")
    for name in SERVICES:
        assert "Permission denied" in login(demo, key, name).stderr, name
    for name in ("root", "maria"):
        assert login(demo, key, name).stdout.strip() == name
    assert "not allowed because none of user's groups are listed in AllowGroups" in demo.sh(
        "journalctl --unit=ssh --boot"
    )


def test_a_service_that_an_operator_lets_in_gets_in_until_he_takes_it_back(demo: "Demo", key: Path) -> None:
    demo.sh("useradd --system --create-home --home-dir /home/watch --shell /bin/sh watch; usermod -p '*' watch")
    try:
        demo.sh("cp -r /home/maria/.ssh /home/watch/; chown -R watch: /home/watch")
        assert login(demo, key, "watch").returncode != 0
        demo.sh("gpasswd --add watch ssh-login; appliance converge")
        assert login(demo, key, "watch").stdout.strip() == "watch"
    finally:
        demo.sh("userdel --remove watch 2>/dev/null || true")


def test_while_somebody_gets_in_by_password_an_alert_stands(demo: "Demo") -> None:
    assert "ssh accepts passwords" not in demo.exec(["appliance", "alerts"]).stdout
    assert "\npasswordauthentication yes" in demo.sh("sshd -T")
    before = demo.sh("getent shadow root | cut -d: -f2")
    own = "/etc/ssh/sshd_config.d/00-own.conf"
    demo.sh(f"echo 'PermitRootLogin yes' > {own}; usermod -p '$y$j9T$notapassword$x' root; appliance converge")
    try:
        told = demo.exec(["appliance", "alerts"])
        assert told.returncode == 1
        assert "critical" in told.stdout
        assert "ssh accepts passwords from everywhere for root" in told.stdout
        assert "ssh_authorized_keys" in told.stdout
    finally:
        demo.sh(f"rm {own}; usermod -p '{before}' root; appliance converge")
    assert "ssh accepts passwords" not in demo.exec(["appliance", "alerts"]).stdout
