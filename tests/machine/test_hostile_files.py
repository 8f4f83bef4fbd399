"""Links, programs and devices in the application's folders do not redirect root, and give nobody privileges."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.machine.backups import quiet

if TYPE_CHECKING:
    from tests.machine.conftest import Demo

VICTIM = "/root/victim"
# Owned by the application's account: what web can write, and what belongs to it on the host.
PLACES = ("/data/ecs-ca", "/data/ecs-storage-vault", "/data/ecs-pgdump", "/data/ecs-acme")
CACHES = ("/volatile/ecs-cache", "/volatile/redis")
LISTING = f"find {VICTIM} -printf '%P %y %m %U %G %T@\\n' | sort"


def as_account(account: str, script: str) -> list[str]:
    return ["setpriv", f"--reuid={account}", f"--regid={account}", "--clear-groups", "sh", "-c", script]


@pytest.fixture
def victim(demo: "Demo") -> Iterator[str]:
    demo.sh(f"rm -rf {VICTIM}; mkdir -m 755 {VICTIM}; echo secret > {VICTIM}/secret; chmod 600 {VICTIM}/secret")
    with quiet(demo):
        yield demo.sh(LISTING)
        demo.sh(f"rm -rf {VICTIM}; find {' '.join((*PLACES, *CACHES))} -name '*planted*' -delete")


def test_a_program_that_root_of_a_container_left_gives_nobody_rights(demo: "Demo") -> None:
    # Having the entry point's capabilities, it may take over the folder.
    make = "cd /app/ecs-cache; chown 0 . && cp /bin/dash planted && chmod 4755 planted; chown 1000 ."
    demo.sh(f"docker exec --user 0 ecs_ecs.web_1 sh -c '{make}'")
    try:
        assert demo.sh("stat --format='%u %a' /volatile/ecs-cache/planted") == "0 4755"
        run = ["setpriv", "--reuid=nobody", "--clear-groups", "/volatile/ecs-cache/planted", "-p", "-c", "id -u"]
        assert demo.exec(run).stdout.strip() == demo.sh("id -u nobody")
        demo.sh("mknod -m 666 /volatile/ecs-cache/planted-disk c 1 3")
        assert demo.exec(as_account("app", "cat /volatile/ecs-cache/planted-disk")).returncode != 0
    finally:
        demo.sh("rm -f /volatile/ecs-cache/planted*")


@pytest.mark.parametrize(
    ("account", "script"),
    [
        ("app", "touch /app/etc/planted"),
        ("app", "ln -s /root /app/etc/hooks/planted"),
        ("app", "touch /volatile/ecs-backup-test/planted"),
        ("postgres", "mv /data/postgresql/17/main /data/postgresql/17/planted"),
        ("postgres", "ln -s /root /data/postgresql/planted"),
        ("postgres", "mkdir /var/lib/postgresql/.ssh"),
    ],
)
def test_nobody_but_root_puts_anything_where_root_goes(demo: "Demo", account: str, script: str) -> None:
    done = demo.exec(as_account(account, script))
    assert "Permission denied" in done.stderr


@pytest.mark.timeout(900)
def test_links_of_the_application_lead_root_nowhere(demo: "Demo", victim: str) -> None:
    """Links to a folder and to a file in each of its folders, with the names that root and others use there."""
    for place in (*PLACES, *CACHES):
        links = f"ln -s {VICTIM} planted; ln -s {VICTIM}/secret planted-file; ln -s {VICTIM} .planted.new"
        demo.exec(as_account("app", f"cd {place} && {links}"))
        assert demo.sh(f"readlink {place}/planted") == VICTIM
    demo.sh("systemctl start appliance-backup", timeout=600)
    demo.sh("systemctl start appliance-cleanup; systemd-tmpfiles --create --clean", timeout=300)
    demo.sh("appliance converge", timeout=600)
    demo.sh("systemctl restart appliance", timeout=600)
    assert demo.sh(LISTING) == victim
    assert demo.answers()


def test_a_folder_by_another_name_hides_no_documents_from_backups(demo: "Demo", victim: str) -> None:
    folder = "ecs-storage-vault/planted.part"
    demo.exec(as_account("app", f"mkdir -p /data/{folder}/a/b/c && echo kept > /data/{folder}/a/b/c/planted"))
    try:
        demo.sh("appliance backup run", timeout=600)
        demo.sh(f"rm -f /root/fetched; appliance backup fetch {folder}/a/b/c/planted /root/fetched")
        assert demo.sh("cat /root/fetched") == "kept"
    finally:
        demo.sh(f"rm -rf /root/fetched /data/{folder}")
