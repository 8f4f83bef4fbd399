"""The network around the machine: only root reaches a cloud's metadata service, containers only what is allowed."""

import base64
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.machine.neighbour import Neighbour, moved_in

if TYPE_CHECKING:
    from tests.machine.conftest import Demo

WEB, WORKER = "ecs_ecs.web_1", "ecs_ecs.worker_1"
METADATA = "http://169.254.169.254/latest/user-data"
# The cache forwards requests for anything that looks like a package.
PACKAGE = "http://169.254.169.254/latest/a_1_all.deb"
SECRET = "backup: {password: EVERYTHING}"
PORT = 8080
# A cloud's service, as the machine sees it: a namespace in which 169.254.169.254 serves user-data.
CLOUD = f"""
ip netns add cloud
ip link add cloud0 type veth peer name eth0 netns cloud
ip address add 169.254.169.1/24 dev cloud0; ip link set cloud0 up
ip -n cloud link set lo up; ip -n cloud link set eth0 up
ip -n cloud address add 169.254.169.254/24 dev eth0
for net in 172.17.0.0/16 172.18.0.0/24; do ip -n cloud route add $net via 169.254.169.1; done
mkdir -p /run/cloud/latest; echo '{SECRET}' | tee /run/cloud/latest/user-data >/run/cloud/latest/a_1_all.deb
systemd-run --quiet --unit=cloud --property=WorkingDirectory=/run/cloud \
    ip netns exec cloud python3 -m http.server 80 --bind 169.254.169.254
until ip netns exec cloud ss -Hltn 'sport = :80' | grep -q .; do sleep 0.1; done
"""
CLOUD_GONE = "systemctl stop cloud; ip netns delete cloud; ip link delete cloud0 || true; rm -r /run/cloud"
FETCH = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=5).read().decode())"


@pytest.fixture(scope="module")
def cloud(demo: "Demo") -> Iterator[None]:
    demo.sh(CLOUD)
    try:
        yield
    finally:
        demo.sh(CLOUD_GONE)


@pytest.fixture(scope="module")
def neighbour(demo: "Demo") -> Iterator[Neighbour]:
    with moved_in(demo.machine) as neighbour, neighbour.serving(PORT):
        yield neighbour


def fetch(demo: "Demo", url: str, *before: str) -> tuple[int, str]:
    """Return the exit code and output of fetching `url`; the words `before` enter a container or namespace."""
    done = demo.exec([*before, "python3", "-c", FETCH, url])
    return done.returncode, done.stdout + done.stderr


def build(demo: "Demo", dockerfile: str) -> str:
    """Return the output of a build of `dockerfile`, which must fail."""
    demo.sh("mkdir -p /run/evil")
    demo.machine.guest.push("/run/evil/Dockerfile", dockerfile)
    done = demo.exec(["docker", "buildx", "build", "--no-cache", "--progress=plain", "/run/evil"])
    assert done.returncode != 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def refused(demo: "Demo") -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(demo.sh("appliance network refused --json"))
    return shown


def set_containers(demo: "Demo", *entries: str) -> None:
    """Allow the containers to reach `entries` in env.yml, as an operator does."""

    def change(tree: Any) -> None:
        tree["appliance"]["network"] = tree["appliance"].get("network") or {"egress": {}}
        tree["appliance"]["network"]["egress"]["containers"] = list(entries)

    demo.edit_env(change)
    demo.sh("appliance env update && appliance converge")


def test_root_reads_what_the_cloud_has_for_this_machine(demo: "Demo", cloud: None) -> None:
    assert fetch(demo, METADATA) == (0, f"{SECRET}\n\n")


@pytest.mark.parametrize("container", [WEB, WORKER])
def test_the_application_does_not(demo: "Demo", cloud: None, container: str) -> None:
    code, said = fetch(demo, METADATA, "docker", "exec", "--user=1000", container)
    assert code != 0 and "refused" in said
    code, said = fetch(demo, METADATA, "docker", "exec", container)
    assert code != 0 and "refused" in said


@pytest.mark.parametrize("account", ["app", "nobody", "postgres", "www-data"])
def test_no_account_of_the_machine_does(demo: "Demo", cloud: None, account: str) -> None:
    code, said = fetch(demo, METADATA, "runuser", "-u", account, "--")
    assert code != 0 and "refused" in said


def test_no_step_of_a_build_does(demo: "Demo", cloud: None) -> None:
    """As a dependency of the image could during its installation."""
    fetching = FETCH.replace("sys.argv[1]", f"'{METADATA}'").replace("import sys, ", "import ")
    said = build(demo, f'FROM ecs/ecs\nRUN python3 -c "{fetching}" && false\n')
    assert "Connection refused" in said
    assert SECRET not in said


def test_no_step_of_a_build_reaches_this_machine(demo: "Demo") -> None:
    """Above all the database: a build has no password for it, but must not even connect."""
    addresses = ("172.17.0.1", "172.18.0.1", "172.18.1.1", demo.address)
    knock = f"""
import socket
for address in {addresses!r}:
    for port in (22, 25, 80, 443, 5000, 5432):
        with socket.socket() as one:
            one.settimeout(2)
            print("knocked", one.connect_ex((address, port)) == 0)
"""
    encoded = base64.b64encode(knock.encode()).decode()
    said = build(demo, f"FROM ecs/ecs\nRUN echo {encoded} | base64 -d | python3 - && false\n")
    assert said.count("knocked False") >= len(addresses) * 6
    assert "knocked True" not in said
    fetched = build(demo, "FROM ecs/ecs\nADD http://127.0.0.1:5000/accounts/login/ /page\nRUN cat /page && false\n")
    assert "connection refused" in fetched


def test_dockerd_does_not_fetch_it_for_a_build(demo: "Demo", cloud: None) -> None:
    said = build(demo, f"FROM ecs/ecs\nADD {METADATA} /stolen\nRUN cat /stolen && false\n")
    assert "connection refused" in said
    assert SECRET not in said


def test_the_download_cache_does_not_fetch_it_for_anybody(demo: "Demo", cloud: None) -> None:
    done = demo.exec(["curl", "--silent", "--max-time", "20", "--proxy", "http://127.0.0.1:3142", PACKAGE])
    assert done.returncode == 0
    assert "EVERYTHING" not in done.stdout


def test_a_machine_that_lost_its_file_takes_no_other_from_the_network(demo: "Demo", cloud: None) -> None:
    before = demo.sh("sha256sum /run/active-env.yml")
    demo.sh("mv /app/env.yml /app/env.yml.away")
    try:
        done = demo.exec(["appliance", "env", "update"])
    finally:
        demo.sh("mv /app/env.yml.away /app/env.yml")
    assert done.returncode == 3
    assert "this machine had one from a file before, so no other kind of source is queried" in done.stderr
    assert "rm /var/lib/ecs-appliance/environment" in done.stderr
    assert demo.sh("sha256sum /run/active-env.yml") == before


def test_the_clinics_network_is_refused_until_it_is_named(demo: "Demo", neighbour: Neighbour) -> None:
    other = str(neighbour.addresses[0])
    before = refused(demo)["packets"]["containers"]
    enter = ("docker", "exec", "--user=1000", WEB)
    code, said = fetch(demo, f"http://{other}:{PORT}/", *enter)
    assert code != 0 and "refused" in said
    seen = refused(demo)
    assert seen["packets"]["containers"] > before
    assert [one["port"] for one in seen["refused"] if (one["container"], one["target"]) == (WEB, other)] == [PORT]
    assert f"{WEB}" in demo.sh("appliance network refused")
    set_containers(demo, f"{other}:{PORT}")
    try:
        assert fetch(demo, f"http://{other}:{PORT}/", *enter)[0] == 0
        assert fetch(demo, f"http://{neighbour.addresses[1]}:{PORT}/", *enter)[0] != 0
    finally:
        set_containers(demo)
    assert fetch(demo, f"http://{other}:{PORT}/", *enter)[0] != 0


def test_names_are_looked_up_and_let_through(demo: "Demo", neighbour: Neighbour) -> None:
    """The machine's own unit does it, started as by its timer."""
    demo.sh(f"echo '{neighbour.addresses[0]} sentry.appliance-test.invalid' >>/etc/hosts")
    set_containers(demo, f"sentry.appliance-test.invalid:{PORT}")
    try:
        demo.sh("nft flush set inet appliance v4/sentry.appliance-test.invalid; systemctl start appliance-names")
        url = f"http://{neighbour.addresses[0]}:{PORT}/"
        assert fetch(demo, url, "docker", "exec", "--user=1000", WEB)[0] == 0
    finally:
        demo.sh("sed -i /appliance-test.invalid/d /etc/hosts")
        set_containers(demo)


def test_containers_still_look_up_names_and_the_site_works(demo: "Demo") -> None:
    """The answer depends on the network; any answer shows that the name server was asked."""
    look = "import socket\ntry:\n socket.getaddrinfo('deb.debian.org', 80)\nexcept socket.gaierror as e: print(e.errno)"
    done = demo.exec(["docker", "exec", "--user=1000", WEB, "python3", "-c", look])
    assert done.stdout.strip() != "-3", "the name servers are out of reach"
    assert demo.answers()


def test_the_download_caches_pages_are_nobodys(demo: "Demo") -> None:
    """Their name is secret, and anyone who learns it still needs the password."""
    assert "Command And Control" not in demo.sh("curl --silent http://127.0.0.1:3142/acng-report.html")
    secret = "/etc/apt-cacher-ng/zz-appliance-admin.conf"
    assert demo.sh(f"stat -c '%U:%G %a' {secret}") == "root:apt-cacher-ng 640"
    page = demo.sh(f"sed -n 's/^ReportPage: //p' {secret}")
    asked = f"curl --silent --output /dev/null --write-out %{{http_code}} 'http://127.0.0.1:3142/{page}?doExpire=Start'"
    assert demo.sh(asked) == "401"
