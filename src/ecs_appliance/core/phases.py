"""Work in phases that resumes where it was interrupted: recovery, rewind."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, ClassVar, Protocol, TypeVar, get_args, get_type_hints

from ecs_appliance.core.state import StateFile


class Phased(Protocol):
    """A frozen dataclass whose field `phase` is a Literal of all phases, in order. The last one means done."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def phase(self) -> str: ...


P = TypeVar("P", bound=Phased)


@dataclass(frozen=True)
class PhaseFile(StateFile[P]):
    """The state file of work in phases; exists from its start to its end."""

    def go_on(self, state: P, *works: Callable[[P], P]) -> P:
        """Run the remaining phases, starting with that of `state`, and return the state in the last phase.

        `works` has one function for each phase except the last; each returns the updated state. Each phase reached is
        stored and survives a reboot; a phase that was interrupted is run again.
        """
        for (phase, following), work in zip(pairwise(self._order), works, strict=True):
            if state.phase == phase:
                state = replace(work(state), phase=following)
                self.write(state)
        return state

    def is_unfinished(self) -> bool:
        """Return whether work has started but not reached its last phase. Raise as `read` does."""
        state = self.read()
        return state is not None and state.phase != self._order[-1]

    @property
    def _order(self) -> tuple[str, ...]:
        return get_args(get_type_hints(self.kind)["phase"])
