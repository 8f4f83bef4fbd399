"""The boundary around the states of salt/extensions: whatever fails in one is its result, in a line and a next step."""

import inspect
import logging
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

from ecs_appliance.core.errors import UnexpectedError, as_failure
from ecs_appliance.core.log import masked

log = logging.getLogger(__name__)

P = ParamSpec("P")
State = Callable[P, dict[str, Any]]


def guarded(state: State[P]) -> State[P]:
    """Return `state` with every exception as a result that has failed; Salt would put a traceback there."""

    @wraps(state)
    def guard(*args: P.args, **kwargs: P.kwargs) -> dict[str, Any]:
        try:
            return state(*args, **kwargs)
        except Exception as error:  # this is the boundary
            failure = as_failure(error)
            if isinstance(failure, UnexpectedError):
                log.error("unexpected", exc_info=error)
            comment = masked(f"{failure.message}\n  → {failure.hint}" if failure.hint else failure.message)
            name = kwargs.get("name", args[0] if args else state.__name__)
            return {"name": name, "result": False, "changes": {}, "comment": comment}

    # Salt asks a state for its arguments, and does not look behind a decorator.
    guard.__signature__ = inspect.signature(state)  # type: ignore[attr-defined] # functions have it, typeshed does not
    return guard
