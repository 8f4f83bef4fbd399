"""The error boundary of the states in salt/extensions: an exception becomes a failed result with message and hint."""

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
    """Wrap `state` so that any exception becomes a failed result, where Salt would show a traceback."""
    failed = _failed

    def guard(*args: P.args, **kwargs: P.kwargs) -> dict[str, Any]:
        try:
            return state(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 # this is the boundary
            return failed(str(kwargs.get("name", args[0] if args else "")), error)

    # Salt injects what the states of a run share into the globals of the function it calls: use the state's globals.
    own = FunctionType(guard.__code__, state.__globals__, state.__name__, None, guard.__closure__)
    wraps(state)(own)
    # Salt inspects a state's signature without unwrapping decorators.
    own.__signature__ = inspect.signature(state)  # type: ignore[attr-defined] # functions have it, typeshed does not
    return own


def _failed(name: str, error: Exception) -> dict[str, Any]:
    failure = as_failure(error)
    if isinstance(failure, UnexpectedError):
        log.error("unexpected", exc_info=error)
    comment = masked(f"{failure.message}\n  → {failure.hint}" if failure.hint else failure.message)
    return {"name": name, "result": False, "changes": {}, "comment": comment}
