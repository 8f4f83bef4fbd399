"""What a stage makes of failures."""

from ecs_appliance.cli.stage import _as_failure
from ecs_appliance.core.errors import ApplianceError


def test_an_unexpected_error_is_told_like_any_other() -> None:
    failure = _as_failure("prepare-ecs", OSError(28, "No space left on device"))
    assert "No space left on device" in failure.message
    assert "journalctl -u prepare-ecs" in failure.hint
    assert not failure.latches


def test_a_known_error_stays_itself() -> None:
    error = ApplianceError("what", "next")
    assert _as_failure("prepare-ecs", error) is error
