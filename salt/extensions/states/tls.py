"""States of the certificates that the appliance creates or obtains; see ecs_appliance.tls."""

from typing import Any

from ecs_appliance.converge.states import guarded
from ecs_appliance.core.paths import Paths
from ecs_appliance.tls.client_ca import client_ca_is_current, deploy_client_ca
from ecs_appliance.tls.deployment import apply_deployment, plan_deployment, stale_certificates
from ecs_appliance.tls.selection import wanted
from ecs_appliance.tls.snakeoil import ensure_snakeoil, held_snakeoil

__opts__: dict[str, Any]  # injected by Salt: the minion's options
__pillar__: dict[str, Any]  # injected by Salt: the pillar


@guarded
def served(name: str, hosts: list[str]) -> dict[str, Any]:
    """Ensure each of `hosts` has the certificate that env.yml specifies, or a replacement until it is available."""
    paths = Paths()
    want = wanted(tuple(hosts), **__pillar__["machine"]["certificates"])
    snakeoil = held_snakeoil(paths, want.names)
    if snakeoil is None and __opts__["test"]:
        return _result(name, changes={"snakeoil": ", ".join(hosts)}, comment="would be created", outcome=None)
    deployment = plan_deployment(paths, want, snakeoil or ensure_snakeoil(paths, want.names))
    changes = {str(path): "certificate" for path in deployment.changes()}
    if __opts__["test"] and changes:
        return _result(name, changes=changes, comment="would be deployed", outcome=None)
    apply_deployment(deployment)
    said = ", ".join(f"{each.name}: {each.source}" for each in deployment.selections)
    return _result(name, changes=changes, comment=said)


@guarded
def only(name: str, hosts: list[str]) -> dict[str, Any]:
    """Ensure only `hosts` have certificates; must run after nginx has stopped using the others."""
    stale = stale_certificates(Paths(), hosts)
    changes = {str(path): "removed" for path in stale}
    if __opts__["test"] and stale:
        return _result(name, changes=changes, comment="would be removed", outcome=None)
    for path in stale:
        path.unlink(missing_ok=True)
    return _result(name, changes=changes, comment="no other certificates")


@guarded
def client_ca(name: str) -> dict[str, Any]:
    """Ensure nginx has the application's client CA and revocation list, or a placeholder."""
    paths = Paths()
    if client_ca_is_current(paths.ecs_ca, paths.client_ca):
        return _result(name, changes={}, comment="same as the application's")
    if __opts__["test"]:
        return _result(name, changes={"client ca": str(paths.client_ca)}, comment="would be deployed", outcome=None)
    deploy_client_ca(paths.ecs_ca, paths.client_ca)
    return _result(name, changes={"client ca": str(paths.client_ca)}, comment="deployed")


def _result(name: str, *, changes: dict[str, Any], comment: str, outcome: bool | None = True) -> dict[str, Any]:
    return {"name": name, "result": outcome, "changes": changes, "comment": comment}
