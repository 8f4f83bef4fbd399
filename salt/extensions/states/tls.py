"""States of the certificates that the appliance makes or takes itself, by ecs_appliance.host.certificates."""

from pathlib import Path
from typing import Any

from ecs_appliance.core.paths import Paths
from ecs_appliance.host import certificates

__opts__: dict[str, Any]  # Salt puts the minion's options here


def self_signed(name: str, certificate: str, key: str, hosts: list[str]) -> dict[str, Any]:
    """A self-signed server certificate for `hosts` lies at `certificate` and `key`."""
    files = Path(certificate), Path(key)
    if certificates.self_signed_is_current(*files, hosts):
        return _result(name, changes={}, comment="serves its names")
    if __opts__["test"]:
        return _result(name, changes={"certificate": certificate}, comment="would be made", outcome=None)
    certificates.ensure_self_signed(*files, hosts)
    return _result(name, changes={"certificate": certificate}, comment=f"made for {', '.join(hosts)}")


def client_ca(name: str) -> dict[str, Any]:
    """nginx has the application's client CA and revocation list, or a stand-in."""
    paths = Paths()
    if certificates.client_ca_is_current(paths.ecs_ca, paths.client_ca):
        return _result(name, changes={}, comment="as the application has it")
    if __opts__["test"]:
        return _result(name, changes={"client ca": str(paths.client_ca)}, comment="would be deployed", outcome=None)
    certificates.deploy_client_ca(paths.ecs_ca, paths.client_ca)
    return _result(name, changes={"client ca": str(paths.client_ca)}, comment="deployed")


def _result(name: str, *, changes: dict[str, Any], comment: str, outcome: bool | None = True) -> dict[str, Any]:
    return {"name": name, "result": outcome, "changes": changes, "comment": comment}
