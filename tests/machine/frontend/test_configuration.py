"""The templates of this checkout, rendered for every kind of site, are accepted by the nginx of Debian 13."""

import io
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ecs_appliance.converge.pillar import build_pillar
from ecs_appliance.core.facts import Facts
from ecs_appliance.env.model import Env
from tests.authorities import Authority

if TYPE_CHECKING:
    from tests.machine.conftest import Demo

STATES = Path(__file__).parents[3] / "salt/states"
FOLDER = "/run/configuration"
FACTS = Facts(memory_mb=4096, cores=2, hostname="host")
FIVE = "www.example.org *.example.org example.net 192.0.2.7 2001:DB8:0::7"
SITES: dict[str, dict[str, object] | None] = {
    "unconfigured": None,
    "one name": {"domain": "www.example.org"},
    "one name, mandatory": {"domain": "www.example.org", "ssl": {"client_certs_mandatory": True}},
    "five names": {"domain": "www.example.org", "allowed_hosts": FIVE},
    "five names, mandatory": {
        "domain": "www.example.org",
        "allowed_hosts": FIVE,
        "ssl": {"client_certs_mandatory": True},
    },
    "localhost": {"domain": "localhost", "allowed_hosts": "localhost 127.0.0.1 [::1] ::1"},
}


def render(site: dict[str, object] | None) -> dict[str, str]:
    """Return every file that the state writes for `site`, by path, with a certificate per name and a client CA."""
    needed = {"settings": "X = 1", "vault_encrypt": "", "vault_sign": ""}
    env = Env.model_validate({"appliance": site, "ecs": needed}, strict=False) if site is not None else None
    pillar = build_pillar(env, FACTS)
    jinja = Environment(loader=FileSystemLoader(STATES), undefined=StrictUndefined, keep_trailing_newline=True)  # noqa: S701
    templates = [*STATES.glob("nginx/files/*.inc"), STATES / "nginx/files/appliance.conf"]
    files = {
        f"/etc/nginx/appliance/{file.name}": jinja.get_template(str(file.relative_to(STATES))).render(pillar=pillar)
        for file in templates
    }
    files["/etc/nginx/nginx.conf"] = (STATES / "nginx/files/nginx.conf").read_text()
    authority = Authority()
    for one in pillar["machine"]["nginx"]["sites"]:
        files[one["certificate"]] = "".join(authority.server("www.example.org"))
    files["/etc/nginx/client-ca/trusted.pem"] = authority.chain + authority.revocation_list()
    return files


def archive(files: dict[str, str]) -> bytes:
    """Return a tar archive with `files` moved below FOLDER, including the paths inside them."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, text in files.items():
            data = text.replace("/etc/nginx/", f"{FOLDER}/").encode()
            entry = tarfile.TarInfo(path.removeprefix("/etc/nginx/"))
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


@pytest.mark.parametrize("kind", SITES)
def test_nginx_takes_the_configuration(demo: "Demo", kind: str) -> None:
    demo.machine.guest.push(f"{FOLDER}.tar", archive(render(SITES[kind])))
    demo.sh(
        f"rm -rf {FOLDER}; mkdir -p {FOLDER}/sites-enabled; cd {FOLDER}; tar -xf ../configuration.tar;"
        "ln -s ../appliance/appliance.conf sites-enabled/; cp /etc/nginx/mime.types .;"
        f"sed -i 's|^pid .*|pid {FOLDER}/pid;|' nginx.conf"
    )
    said = demo.exec(["nginx", "-t", "-c", f"{FOLDER}/nginx.conf"])
    demo.sh(f"rm -rf {FOLDER} {FOLDER}.tar")
    assert said.returncode == 0, said.stderr
    assert [line for line in said.stderr.splitlines() if "[warn]" in line or "[emerg]" in line] == []
