"""An attacker who controls the web application tries to have documents encrypted to his own key permanently."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.machine.conftest import Demo

WEB = "ecs_ecs.web_1"
SUSPECTS = "/data/ecs-gpg.suspect-*"
# As uid 1000: create a key with the name that the application encrypts to, in evil.pub and evil.sec.
MAKE_KEY = """
cd /tmp; rm -rf evil evil.*; mkdir -m 700 evil
printf '%s\\n' 'Key-Type: RSA' 'Key-Length: 1024' 'Key-Usage: encrypt,sign' 'Name-Real: ecs_mediaserver' %commit >w
gpg1 --homedir evil --batch --quick-random --quiet --gen-key w
gpg1 --homedir evil --batch --export > evil.pub
gpg1 --homedir evil --batch --export-secret-keys > evil.sec
"""
WAYS = {
    "write": "cat /tmp/evil.pub > /app/ecs-gpg/pubring.gpg",
    "append": "cat /tmp/evil.pub >> /app/ecs-gpg/pubring.gpg",
    "truncate": "truncate --size=0 /app/ecs-gpg/secring.gpg",
    "chmod": "chmod 0666 /app/ecs-gpg/pubring.gpg",
    "unlink": "rm -f /app/ecs-gpg/pubring.gpg",
    "rename": "mv /tmp/evil.pub /app/ecs-gpg/pubring.gpg",
    "move away": "mv /app/ecs-gpg/pubring.gpg /app/ecs-gpg/other.gpg",
    "move the folder": "mv /app/ecs-gpg /app/ecs-gpg.old",
    "link": "ln -sf /tmp/evil.pub /app/ecs-gpg/pubring.gpg",
    "hard link": "ln -f /app/ecs-gpg/random_seed /app/ecs-gpg/pubring.gpg",
    "mount": "mount --bind /tmp/evil.pub /app/ecs-gpg/pubring.gpg",
    "remount": "mount -o remount,rw /app/ecs-gpg/pubring.gpg",
    "unmount": "umount /app/ecs-gpg/pubring.gpg",
    "options": "echo 'group ecs_mediaserver=EVIL' >> /app/ecs-gpg/gpg.conf",
    "import": "gpg1 --homedir /app/ecs-gpg --batch --no-tty --trust-model always --import /tmp/evil.sec",
    "delete": "gpg1 --homedir /app/ecs-gpg --batch --yes --no-tty --delete-secret-and-public-key ecs_mediaserver",
}


def inside(demo: "Demo", script: str, *, user: str = "1000", container: str = WEB) -> int:
    """Run `script` in the container, and return its exit code."""
    return demo.exec(["docker", "exec", "-u", user, container, "sh", "-c", script]).returncode


def recipients(demo: "Demo") -> set[str]:
    """Return the ids of the keys that a new document is encrypted to."""
    newest = "ls -t $(find /data/ecs-storage-vault -type f -name '????????????????????????????????') | head -1"
    demo.sh(f"docker exec {WEB} /start run ./manage.py makedocs 1")
    packets = demo.sh(f"mkdir -pm700 /run/look; gpg1 --homedir /run/look --batch --list-packets $({newest}) || true")
    return {line.rpartition(" ")[2] for line in packets.splitlines() if line.startswith(":pubkey enc packet")}


@pytest.fixture
def genuine(demo: "Demo") -> set[str]:
    """Return the ids of env.yml's key, as used by the application; root's keyring must contain them."""
    first = recipients(demo)
    listing = "gpg1 --homedir /data/ecs-gpg --batch --with-colons --trust-model=always --list-keys | head -20"
    assert len(first) == 1
    assert first <= {line.split(":")[4] for line in demo.sh(listing).splitlines() if line[:4] in ("pub:", "sub:")}
    return first


@pytest.mark.parametrize("way", WAYS)
def test_no_way_leads_to_another_keyring(demo: "Demo", way: str) -> None:
    """Neither the application's account nor root in the container can replace the keyring."""
    before = demo.sh("cd /run/appliance/keyring; sha256sum pubring.gpg secring.gpg gpg.conf")
    assert inside(demo, "test -e /tmp/evil.sec") == 0 or inside(demo, MAKE_KEY) == 0
    for user in ("1000", "0"):
        assert inside(demo, f"{WAYS[way]} && ! cmp -s /tmp/evil.pub /dev/null", user=user) != 0, user
    seen = demo.sh(f"docker exec -u 1000 {WEB} sh -c 'cd /app/ecs-gpg; sha256sum pubring.gpg secring.gpg gpg.conf'")
    assert seen == before
    assert demo.sh("cd /run/appliance/keyring; sha256sum pubring.gpg secring.gpg gpg.conf") == before


def test_what_is_put_beside_the_keyring_is_gone_with_the_container(demo: "Demo", genuine: set[str]) -> None:
    beside = "cd /app/ecs-gpg; echo 'keyring /tmp/evil.pub' > options; cp /tmp/evil.pub pubring.kbx; touch left"
    assert inside(demo, beside) == 0
    assert recipients(demo) == genuine
    demo.sh(f"docker restart {WEB}", timeout=120)
    demo.sh(f"until docker exec {WEB} /start run true; do sleep 1; done", timeout=60)
    assert inside(demo, "test -e /app/ecs-gpg/left") != 0
    assert recipients(demo) == genuine
    assert demo.sh("ls -A /data/ecs-gpg").split() == ["pubring.gpg", "secring.gpg"]


def test_the_account_app_of_the_host_does_not_reach_the_keys(demo: "Demo") -> None:
    for path in ("/data/ecs-gpg/secring.gpg", "/run/appliance/keyring/secring.gpg", "/data/ecs-gpg/new"):
        assert demo.exec(["runuser", "-u", "app", "--", "sh", "-c", f"cat {path} || touch {path}"]).returncode != 0


def test_a_keyring_that_was_poisoned_before_is_healed_and_named(
    demo: "Demo", genuine: set[str], until: Callable[[Callable[[], bool], float], float]
) -> None:
    """As the previous release allowed the application to do."""
    poison = """
docker exec ecs_ecs.web_1 cat /tmp/evil.pub > /run/evil.pub
cat /run/evil.pub /data/ecs-gpg/pubring.gpg > /run/pubring.gpg
cp /run/pubring.gpg /data/ecs-gpg/pubring.gpg; rm /run/pubring.gpg
echo 'group ecs_mediaserver=EVIL' > /data/ecs-gpg/gpg.conf
chown -R app:app /data/ecs-gpg
systemctl restart appliance
"""
    if inside(demo, "test -e /tmp/evil.pub") != 0:
        assert inside(demo, MAKE_KEY) == 0
    try:
        demo.sh(poison, timeout=300)
        until(demo.answers, 120)
        assert recipients(demo) == genuine
        told = demo.exec(["appliance", "alerts"])
        assert told.returncode == 1
        assert "pubring.gpg did not begin with the keys of env.yml" in told.stdout
        assert "unexpected file gpg.conf" in told.stdout
        # The first stage to look logs it; that may be the certificate unit, which the start runs in the background.
        logged = demo.sh("journalctl --unit=prepare-appliance --unit=appliance-certificate --boot --output=cat")
        assert "keyring had been tampered with" in logged
        assert demo.sh(f"ls -A {SUSPECTS}").split() == ["gpg.conf", "pubring.gpg", "secring.gpg", "why"]
        assert demo.sh("stat --format='%U %a' /data/ecs-gpg /data/ecs-gpg/secring.gpg").splitlines() == [
            "root 700",
            "root 600",
        ]
    finally:
        demo.sh(f"rm -rf {SUSPECTS} /run/evil.pub; systemctl start appliance-certificate")
    assert "tampered" not in demo.exec(["appliance", "alerts"]).stdout


def test_the_application_reads_what_it_wrote_and_bootstraps(demo: "Demo") -> None:
    run = f"docker exec {WEB} /start run"
    check = f"{run} python3 -m tests.vaultcheck --decrypt --orphans-ok"
    assert "bootstrap:" in demo.sh(f"{run} ./manage.py makedocs 1; {check}; {run} ./manage.py bootstrap")
    assert "keyring" not in demo.exec(["appliance", "alerts"]).stdout
