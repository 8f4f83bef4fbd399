"""An attacker with the account postgres has the databases, but cannot redirect root."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.machine.conftest import Demo, Until

CONFIGURATION = "/etc/postgresql/17/main"
VICTIM = "/root/victim"
# As an earlier release and every upgrade of Debian's package leave them.
GIVEN = f"chown -R postgres: /etc/postgresql /data/postgresql; echo root > {VICTIM}; chmod 600 {VICTIM}"
UNIT = "postgresql@17-main"
PLANTED = {
    "a file of ours": f"ln -sf {VICTIM} {CONFIGURATION}/conf.d/appliance.conf",
    "a file to come": f"ln -sf /root/new {CONFIGURATION}/conf.d/appliance.conf",
    "the access rules": f"ln -sf {VICTIM} {CONFIGURATION}/pg_hba.conf",
    "a folder of ours": f"rm -r {CONFIGURATION}/conf.d && ln -s /root {CONFIGURATION}/conf.d",
    "the configuration": f"ln -sf {VICTIM} {CONFIGURATION}/postgresql.conf",
    "beside them": f"ln -s {VICTIM} {CONFIGURATION}/conf.d/other.conf",
    "a pipe": f"mkfifo {CONFIGURATION}/conf.d/pipe.conf",
    "set-uid": f"cp /bin/true {CONFIGURATION}/conf.d/own && chmod 4777 {CONFIGURATION}/conf.d/own",
}


def as_postgres(demo: "Demo", script: str) -> int:
    return demo.exec(["runuser", "-u", "postgres", "--", "sh", "-euc", script]).returncode


@pytest.fixture
def given(demo: "Demo") -> Iterator[None]:
    """Give the account its folders, as they once were; repair everything afterwards."""
    demo.sh(GIVEN)
    try:
        yield
    finally:
        demo.sh(f"rm -rf {VICTIM} /root/new; appliance converge; systemctl restart {UNIT}", timeout=600)


def test_links_lead_root_nowhere_and_the_server_goes_on(demo: "Demo", given: None) -> None:
    """The traps are planted together, as they do not interfere; one converge repairs everything."""
    for name in ("the configuration", "the access rules", "beside them", "a pipe", "set-uid", "a file of ours"):
        assert as_postgres(demo, PLANTED[name]) == 0, name
    demo.sh("appliance converge", timeout=600)
    assert demo.sh(f"stat --format='%U %a' {VICTIM}; cat {VICTIM}") == "root 600\nroot"
    assert demo.sh("find /etc/postgresql ! -type f ! -type d") == ""
    assert demo.sh("find /etc/postgresql ! -user root") == ""
    assert demo.sh("find /etc/postgresql -perm /6022") == ""
    demo.sh(f"systemctl restart {UNIT}")
    assert demo.sh("psql -U app -Atc 'select count(*) > 0 from auth_user' ecs") == "t"
    assert " 0 changed" in demo.sh("appliance converge", timeout=600)


@pytest.mark.parametrize("name", ["a folder of ours", "a file to come"])
def test_link_to_elsewhere_is_not_written_through(demo: "Demo", given: None, name: str) -> None:
    before = demo.sh("ls -la /root | grep --invert-match victim")
    assert as_postgres(demo, PLANTED[name]) == 0
    demo.sh("appliance converge", timeout=600)
    assert demo.sh("ls -la /root | grep --invert-match victim") == before
    assert demo.sh(f"systemctl is-active {UNIT}") == "active"


def test_account_changes_no_configuration_and_keeps_no_key(demo: "Demo") -> None:
    """Its home and its configuration folders belong to root, so nothing the account leaves there is used."""
    demo.sh("appliance converge", timeout=600)
    for attempt in (
        f"ln -sf /root {CONFIGURATION}/conf.d/appliance.conf",
        f"echo >> {CONFIGURATION}/pg_hba.conf",
        "mkdir ~/.ssh",
        "echo > ~/.profile",
        "mv /data/postgresql/17/main /data/postgresql/17/away",
        "ln -s /root /data/postgresql/18",
    ):
        assert as_postgres(demo, attempt) != 0, attempt


def test_planted_key_goes(demo: "Demo") -> None:
    demo.sh("mkdir -p /data/postgresql/.ssh; touch /data/postgresql/.ssh/authorized_keys")
    demo.sh("chown -R postgres: /data/postgresql/.ssh; appliance converge", timeout=600)
    assert demo.sh("ls -A /data/postgresql") == "17"


def test_superuser_writes_nowhere_but_to_the_database(demo: "Demo") -> None:
    """Programs that a database superuser starts through the server are confined by the sandbox of its unit."""

    def run(program: str) -> int:
        copy = f"copy (select 1) to program '{program}'"
        return demo.exec(["psql", "-U", "postgres", "-c", copy]).returncode

    inside, outside = (
        "/var/lib/postgresql/17/main",
        ("/etc/postgresql", "/data", "/data/postgresql", "/var/tmp/..", "/opt"),
    )
    assert run(f"read x; echo true > {inside}/program") == 0
    demo.sh(f"chmod 755 {inside}/program")
    assert run(f"read x; {inside}/program") != 0
    demo.sh(f"rm {inside}/program")
    for folder in outside:
        assert run(f"read x; echo > {folder}/hostile") != 0, folder
    shown = demo.sh(f"systemctl show --property=LimitCORE,ProtectSystem {UNIT}")
    assert shown.splitlines() == ["LimitCORE=0", "ProtectSystem=strict"]


def test_log_is_archived_from_within_the_fence(demo: "Demo", until: "Until") -> None:
    segment = demo.sh("psql -U postgres -Atc 'select pg_walfile_name(pg_current_wal_insert_lsn())'")
    demo.sh("psql -U postgres -c 'select pg_current_xact_id()' -c 'select pg_switch_wal()'")
    last = "psql -U postgres -Atc 'select last_archived_wal from pg_stat_archiver'"
    until(lambda: demo.sh(last) >= segment, 60)


def test_root_writes_below_no_folder_of_another_account(demo: "Demo") -> None:
    """Of all states of this machine: every folder above a path that root writes is owned and writable by root only."""
    listing = 'salt-call --local --out=json state.show_lowstate pillar=\'{"appliance": {"enabled": true}}\''
    script = r"""
import json, os, stat, sys
written = ('file', 'ssh_auth')
for low in json.load(sys.stdin)['local']:
    path = low.get('config') or low.get('name') or ''
    if low['state'] not in written or not path.startswith('/'):
        continue
    above = os.path.dirname(path)
    while above != '/':
        if os.path.lexists(above):
            seen = os.stat(above)
            writable = seen.st_mode & 0o022 and not seen.st_mode & stat.S_ISVTX
            if seen.st_uid or writable:
                print(path, above)
        above = os.path.dirname(above)
"""
    demo.machine.guest.push("/root/lint.py", script, mode=0o600)
    assert demo.sh(f"{listing} | python3 /root/lint.py; rm /root/lint.py") == ""
