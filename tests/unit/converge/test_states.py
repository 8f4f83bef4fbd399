"""Any error in a state becomes a failed Salt result."""

import inspect

import pytest

from ecs_appliance.converge.states import guarded
from ecs_appliance.core.errors import ApplianceError


@pytest.mark.parametrize(
    ("error", "comment"),
    [
        (ApplianceError("nginx does not take it", "nginx -t"), "nginx does not take it\n  → nginx -t"),
        (OSError(28, "No space left on device", "/etc/x"), "/etc/x: No space left on device\n  → free up space"),
        (KeyError("surprise"), "KeyError: 'surprise'\n  → this is a bug"),
    ],
)
def test_whatever_it_failed_of(error: Exception, comment: str) -> None:
    @guarded
    def present(name: str) -> dict[str, object]:
        raise error

    for result in (present("x"), present(name="x")):
        assert (result["name"], result["result"], result["changes"]) == ("x", False, {})
        assert str(result["comment"]).startswith(comment)


def test_salt_sees_the_arguments_of_a_state() -> None:
    @guarded
    def present(name: str, hosts: list[str]) -> dict[str, object]:
        return {"name": name, "hosts": hosts}

    assert inspect.getfullargspec(present).args == ["name", "hosts"]
    assert present("x", hosts=["a"]) == {"name": "x", "hosts": ["a"]}


def test_what_salt_gives_to_the_function_that_it_calls_reaches_the_state() -> None:
    @guarded
    def present(name: str) -> dict[str, object]:
        return {"name": name, "shared": __shared__}  # type: ignore[name-defined] # noqa: F821 # from outside

    present.__globals__["__shared__"] = 5
    try:
        assert present("x")["shared"] == 5
    finally:
        del present.__globals__["__shared__"]
