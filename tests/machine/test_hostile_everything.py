"""An attacker who controls the web application plants every trap, waits for all timers, and gains nothing.

It runs code as uid 1000 in the web container, with everything the container has: the database, the queue, the cache,
the volumes. It hopes that root will eventually act on something it has planted.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.machine.backups import BACKUP, TARGET, own_settings, set_backup
from tests.machine.people import told
from tests.machine.test_hostile_database import CLEAN, PROOFS, SPY, WAYS, WEB, attack, attacked, sprung

if TYPE_CHECKING:
    from tests.machine.conftest import Demo

TIMERS = (
    "appliance-backup-frequent",
    "appliance-backup",
    "appliance-rehearsal",
    "appliance-certificate",
    "appliance-names",
    "appliance-update",
    "systemd-tmpfiles-clean",
)
PLACES = ("/app/ecs-ca", "/app/ecs-cache", "/app/ecs-storage-vault")
# With the names that root, its tools and the appliance itself use there.
PLANT = r"""
for place in %(places)s; do
    cd $place
    ln -sfn /root planted; ln -sf /etc/shadow planted-file; ln -sfn / .planted.new; mkdir -p planted.part
    cp /bin/dash planted-shell; chmod 6755 planted-shell; mkfifo planted-pipe
    printf '#!/bin/sh\nid > /root/owned\n' > planted.sh; chmod 755 planted.sh
    printf 'x' > "$(printf 'planted\nroot::0:0')"
    touch -- '--checkpoint-action=exec=sh planted.sh' '$(id > owned)' '`id`'
done
ln -sf /root/owned /app/ecs-ca/other.pem
mkdir -p /app/ecs-cache/hooks /app/ecs-cache/etc/hooks/prepare-ecs.early
cp /app/ecs-cache/planted.sh /app/ecs-cache/etc/hooks/prepare-ecs.early/
true
"""
# Pickles and text where other containers read them, and log lines that look like somebody else's.
POISON = r"""
import os, pickle, socket
class Run:
    def __reduce__(self):
        return os.system, ('id > /tmp/owned-by-pickle',)
value = pickle.dumps(Run())
host, port = os.environ['MEMCACHED_URL'].split('//')[1].split(':')
with socket.create_connection((host, int(port)), 5) as cache:
    cache.sendall(b'set planted 1 0 %d\r\n' % len(value) + value + b'\r\n')
    assert cache.recv(99).startswith(b'STORED')
for line in ('<0>appliance[1]: the site is down', '\x1b]0;owned\x07', 'a\u2028b ecs_ecs.worker_1  | owned'):
    print(line)
"""
# What root controls and no timer changes: contents, owners and modes; accounts; what is started; who may log in.
OWNED = r"""
files() {
    find /etc /root /usr/local /app/etc/hooks /app/env.yml -xdev \
        ! -path '/root/.cache/*' ! -path '/root/.docker/*' ! -path '/root/backup-target*' ! -path '/etc/*.cache' \
        ! -path '/etc/nginx/appliance/certificates/*' ! -path '/etc/nginx/client-ca/*' "$@"
}
files \( -type f -o -type l \) -printf '%p %y %m %U %G %l\n'
files -type f -exec sha256sum {} +
getent passwd; getent group
find / -xdev -perm /6000 -type f ! -path '/volatile/docker/*' ! -path '/data/ecs-*' ! -path '/volatile/ecs-cache/*' \
    -printf 'set-id %p %m %U %G\n'
systemctl list-unit-files --no-legend --state=enabled
"""


def planted_as_web(demo: "Demo", script: str) -> None:
    done = demo.exec(["docker", "exec", "-u", "1000", WEB, "sh", "-c", script])
    assert done.returncode == 0, done.stderr


@pytest.fixture
def planted(demo: "Demo") -> Iterator[set[str]]:
    """Plant all traps; yield what root owned before the application was compromised."""
    with own_settings(demo):
        demo.sh(f"rm -rf {TARGET}; mkdir -p {TARGET}")
        set_backup(demo, url=f"file://{TARGET}/")
        told(demo, *BACKUP, "run", "--json")
        demo.sh("appliance converge", timeout=600)
        before = set(demo.sh(OWNED, timeout=300).splitlines())
        try:
            attack(demo, CLEAN)
            attacked(demo, SPY, *WAYS.values())
            planted_as_web(demo, PLANT % {"places": " ".join(PLACES)})
            done = demo.exec(["docker", "exec", "-i", "-u", "1000", WEB, "/app/env/bin/python", "-"], data=POISON)
            assert done.returncode == 0, done.stderr
            yield before
        finally:
            attack(demo, CLEAN)
            inside = (
                "cd $place && rm -rf planted* .planted.new hooks etc other.pem ./-- '$(id > owned)' '`id`' ./--check*"
            )
            script = f"for place in {' '.join(PLACES)}; do {inside}; done; rm -f /tmp/owned*"
            demo.exec(["docker", "exec", "-u", "1000", WEB, "sh", "-c", script])
            demo.sh(f"rm -rf {TARGET} {PROOFS} /root/owned; systemctl reset-failed")
    demo.sh("systemctl restart appliance", timeout=600)


@pytest.mark.timeout(1500)
def test_who_took_over_the_application_waits_and_owns_nothing(demo: "Demo", planted: set[str]) -> None:
    made = told(demo, *BACKUP, "run", "--json")
    assert made["backup"] in {one["id"] for one in told(demo, *BACKUP, "list", "--json")["backups"]}
    for unit in TIMERS:
        # Whether each succeeds does not matter, only what it can be tricked into.
        demo.exec(["systemctl", "start", unit], timeout=900)
    demo.exec(["systemctl", "start", "appliance-cleanup"], timeout=300)
    demo.exec(["appliance", "plan"], timeout=300)
    demo.sh("appliance converge", timeout=600)
    demo.sh("systemctl restart appliance", timeout=600)
    demo.exec(["appliance", "rewind", "--to", demo.sh("date -d '-5 seconds' '+%Y-%m-%d %H:%M:%S'")], timeout=600)
    assert sprung(demo) == set()
    owned = "find / -xdev ( -name owned -o -name owned-* -o -name hostile-* ) -not -path /proc/* -newermt 2020-01-01"
    assert demo.exec(owned.split(), timeout=120).stdout == ""
    after = set(demo.sh(OWNED, timeout=300).splitlines())
    assert sorted(after - planted) == []
    assert sorted(planted - after) == []
    assert demo.exec(
        ["runuser", "-u", "nobody", "--", "/volatile/ecs-cache/planted-shell", "-p", "-c", "id -u"]
    ).stdout.strip() in (
        "",
        demo.sh("id -u nobody"),
    )
    assert demo.answers()
