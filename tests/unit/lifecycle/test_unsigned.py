"""The warning about code that does not have to be signed."""

from ecs_appliance.env.model import ApplianceGit, EcsGit, Env
from ecs_appliance.lifecycle.unsigned import find_unsigned

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJn7zBY/B+ao7DLRkVKdNSiNT8uTDXFSw45R4Cf8EIa0 release"


def env(*, appliance: tuple[str, ...], ecs: tuple[str, ...]) -> Env:
    made = Env()
    return made.model_copy(
        update={
            "appliance": made.appliance.model_copy(update={"git": ApplianceGit(signers=appliance)}),
            "ecs": made.ecs.model_copy(update={"git": EcsGit(signers=ecs)}),
        }
    )


def test_it_names_what_lacks_signers() -> None:
    (both,) = find_unsigned(env(appliance=(), ecs=()))
    assert both.severity == "warning"
    assert "appliance.git.signers and ecs.git.signers" in both.message
    (one,) = find_unsigned(env(appliance=(KEY,), ecs=()))
    assert "appliance.git.signers" not in one.message and "ecs.git.signers" in one.message


def test_it_is_gone_where_both_are_named() -> None:
    assert find_unsigned(env(appliance=(KEY,), ecs=(KEY,))) == []
