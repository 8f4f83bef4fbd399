"""The boundary around the states of salt/extensions: whatever fails in one is its result, in a line and a next step."""

import inspect
import logging
from collections.abc import Callable
from functools import wraps
from types import FunctionType
from typing import Any, ParamSpec

from ecs_appliance.core.errors import UnexpectedError, as_failure
from ecs_appliance.core.log import masked

log = logging.getLogger(__name__)

P = ParamSpec("P")
State = Callable[P, dict[str, Any]]


def guarded(state: State[P]) -> State[P]:
    """Return `state` with every exception as a result that has failed; Salt would put a traceback there."""
    failed = _failed

    def guard(*args: P.args, **kwargs: P.kwargs) -> dict[str, Any]:
        try:
            return state(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 # this is the boundary
            return failed(str(kwargs.get("name", args[0] if args else "")), error)

    # What states of a run share, Salt puts into the globals of the function that it calls: they have to be the state's.
    own = FunctionType(guard.__code__, state.__globals__, state.__name__, None, guard.__closure__)
    wraps(state)(own)
    # Salt asks a state for its arguments, and does not look behind a decorator.
    own.__signature__ = inspect.signature(state)  # type: ignore[attr-defined] # functions have it, typeshed does not
    return own


def _failed(name: str, error: Exception) -> dict[str, Any]:
    failure = as_failure(error)
    if isinstance(failure, UnexpectedError):
        log.error("unexpected", exc_info=error)
    comment = masked(f"{failure.message}\n  → {failure.hint}" if failure.hint else failure.message)
    return {"name": name, "result": False, "changes": {}, "comment": comment}
