"""Passwords are refused only if somebody can log in without one, and no ssh port is closed."""

from pathlib import Path

import pytest

from ecs_appliance.converge.ssh import Ssh, has_admin_key, login_key, plan_ssh, ssh_ports, who_gets_in_by_password
from ecs_appliance.core.paths import Paths
from ecs_appliance.env.model import Env

BLOB = "AAAAC3NzaC1lZDI1NTE5AAAAIBmIyAfPkvbe5Wdne7OmyQVVTMStI0qbNjuFFOvIN0Qv"
OTHER = "AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
KEY = f"ssh-ed25519 {BLOB}"
# The key entry that clouds leave for root.
ELSEWHERE = f"no-port-forwarding,command=\"echo 'Please login as the user debian';sleep 10;exit 142\" {KEY} cloud"
PASSWD = """\
root:x:0:0:root:/root:/bin/bash
sync:x:4:65534:sync:/bin:/bin/sync
anna:x:1001:1001:Anna:/home/anna:/bin/bash
otto:x:1002:27:Otto:/home/otto:/bin/zsh
robot:x:1003:1003::/home/robot:/usr/sbin/nologin
app:x:1000:1000::/app:/bin/bash
"""
GROUP = "root:x:0:\nsudo:x:27:anna,robot\napp:x:1000:\n"


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """Return a machine with accounts, but without keys."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text(PASSWD)
    (tmp_path / "etc/group").write_text(GROUP)
    return Paths(tmp_path)


def env(*, added: tuple[str, ...] = (), removed: tuple[str, ...] = ()) -> Env:
    needed = {"settings": "X = 1", "vault_encrypt": "", "vault_sign": ""}
    lists = {"ssh_authorized_keys": added, "ssh_deprecated_keys": removed}
    return Env.model_validate({"appliance": {"domain": "ecs.example.org"}, "ecs": needed, **lists}, strict=False)


def give(paths: Paths, home: str, *lines: str, name: str = "authorized_keys") -> None:
    file = paths.at(home) / ".ssh" / name
    file.parent.mkdir(parents=True)
    file.write_text("\n".join(lines))


@pytest.mark.parametrize(
    ("line", "key"),
    [
        (KEY, BLOB),
        (f"  {KEY} anna@desk", BLOB),
        (f'from="10.0.0.0/8",no-pty {KEY}', BLOB),
        (f'environment="A=no command here" {KEY}', BLOB),
        (ELSEWHERE, None),
        (f'COMMAND="rsync" {KEY}', None),
        (f'expiry-time="20200101" {KEY}', None),
        (f"cert-authority {KEY}", None),
        (f"# {KEY}", None),
        (f"#{KEY}", None),
        (f"ssh-ed25519 {BLOB[:-4]}", None),
        ("ssh-dss AAAAB3NzaC1kc3MAAAAEAAAAAQ==", None),
        ("", None),
        ("nonsense", None),
    ],
)
def test_a_line_is_a_login_or_it_is_none(line: str, key: str | None) -> None:
    assert login_key(line) == key


def test_without_any_key_nobody_gets_in(paths: Paths) -> None:
    assert not has_admin_key(paths, None)
    assert not has_admin_key(paths, env())


def test_a_key_of_the_environment_will_do_before_it_is_deployed(paths: Paths) -> None:
    assert has_admin_key(paths, env(added=(KEY,)))


@pytest.mark.parametrize("home", ["/root", "/home/anna", "/home/otto"])
@pytest.mark.parametrize("name", ["authorized_keys", "authorized_keys2"])
def test_a_key_of_somebody_who_may_become_root_will_do(paths: Paths, home: str, name: str) -> None:
    give(paths, home, "# mine", "", f"{KEY} desk", name=name)
    assert has_admin_key(paths, None)


@pytest.mark.parametrize("home", ["/app", "/home/robot", "/bin"])
def test_a_key_of_anybody_else_will_not(paths: Paths, home: str) -> None:
    give(paths, home, KEY)
    assert not has_admin_key(paths, None)


def test_a_key_that_is_about_to_be_removed_does_not_count(paths: Paths) -> None:
    give(paths, "/root", f"{KEY} old desk")
    assert not has_admin_key(paths, env(removed=(f"{KEY} the same",)))
    assert not has_admin_key(paths, env(added=(KEY,), removed=(KEY,)))
    assert has_admin_key(paths, env(added=(f"ssh-ed25519 {OTHER}",), removed=(KEY,)))


def test_a_file_that_is_no_text_is_no_obstacle(paths: Paths) -> None:
    folder = paths.at("/root/.ssh")
    folder.mkdir(parents=True)
    (folder / "authorized_keys").write_bytes(b"\xff\xfe\n" + KEY.encode())
    (folder / "authorized_keys2").mkdir()
    assert has_admin_key(paths, None)


@pytest.mark.parametrize(
    ("main", "further", "ports"),
    [
        ("#Port 22\n#ListenAddress 0.0.0.0\n", "", (22,)),
        ("Port 2222\n", "", (22, 2222)),
        ("Include x\n  port=22\n", "Port 2200 # for us\nPort 2201\n", (22, 2200, 2201)),
        (
            "ListenAddress 192.0.2.7:2222\nListenAddress [2001:db8::1]:2223\nListenAddress 2001:db8::2\n",
            "",
            (22, 2222, 2223),
        ),
        ("PermitOpen 127.0.0.1:80\n", "ListenAddress ssh.example.org:2222\n", (22, 2222)),
    ],
)
def test_the_ports_of_ssh_are_those_it_listens_on(
    paths: Paths, main: str, further: str, ports: tuple[int, ...]
) -> None:
    folder = paths.at("/etc/ssh/sshd_config.d")
    folder.mkdir(parents=True)
    (folder.parent / "sshd_config").write_text(main)
    (folder / "50-own.conf").write_text(further)
    assert ssh_ports(paths) == ports


def test_without_a_configuration_all_is_as_usual(paths: Paths) -> None:
    assert plan_ssh(paths, None) == Ssh(keys_only=False, ports=(22,), people=("anna", "otto"))


def test_people_log_in_and_services_do_not(paths: Paths) -> None:
    """Including people who cannot become root; without a shell nobody can log in anyway."""
    more = "maria:x:1010:100::/home/maria:/bin/bash\npostgres:x:100:104::/var/lib/postgresql:/bin/bash\n"
    paths.at("/etc/passwd").write_text(PASSWD + more + "nobody:x:65534:65534::/:/bin/sh\n")
    assert plan_ssh(paths, None).people == ("anna", "otto", "maria")


@pytest.mark.parametrize(
    ("line", "known"),
    [
        ("passwd:         files", True),
        ("passwd: files systemd", True),
        ("passwd:\tcompat [NOTFOUND=return]", True),
        ("passwd: files sss", False),
        ("passwd: files ldap [NOTFOUND=return]\n", False),
        ("group: files sss", True),
    ],
)
def test_where_a_directory_knows_people_no_group_shuts_them_out(paths: Paths, line: str, known: bool) -> None:
    paths.at("/etc/nsswitch.conf").write_text(f"# names\n{line}\nhosts: files dns\n")
    assert plan_ssh(paths, None).by_group is known


TAKEN = "permitrootlogin yes\npasswordauthentication yes\nkbdinteractiveauthentication no\n"
SHADOW = "root:{root}:1:0:9:7:::\nanna:{anna}:1:0:9:7:::\npostgres:$y$j9T$x:1:0:9:7:::\napp:$y$j9T$x:1:0:9:7:::\n"


@pytest.mark.parametrize(
    ("root", "anna", "effective", "names"),
    [
        ("*", "!", TAKEN, []),
        ("", "!$y$j9T$x", TAKEN, []),
        ("$y$j9T$x", "*", TAKEN, ["root"]),
        ("$y$j9T$x", "$6$x$y", TAKEN, ["anna", "root"]),
        ("$y$j9T$x", "$6$x$y", TAKEN.replace("permitrootlogin yes", "permitrootlogin without-password"), ["anna"]),
        ("$y$j9T$x", "$6$x$y", TAKEN.replace("passwordauthentication yes", "passwordauthentication no"), []),
        (
            "*",
            "$6$x$y",
            TAKEN.replace(
                "passwordauthentication yes\nkbdinteractiveauthentication no",
                "passwordauthentication no\nkbdinteractiveauthentication yes",
            ),
            ["anna"],
        ),
    ],
)
def test_who_gets_in_by_password(paths: Paths, root: str, anna: str, effective: str, names: list[str]) -> None:
    paths.at("/etc/shadow").write_text(SHADOW.format(root=root, anna=anna))
    assert who_gets_in_by_password(paths, effective) == names
