"""Work in phases that resumes where it was interrupted: recovery, rewind."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, ClassVar, Protocol, TypeVar, get_args, get_type_hints

from ecs_appliance.core.state import StateFile


class Phased(Protocol):
    """A frozen dataclass; its field `phase` is a Literal of all phases in their order. In the last, all are done."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def phase(self) -> str: ...


P = TypeVar("P", bound=Phased)


@dataclass(frozen=True)
class PhaseFile(StateFile[P]):
    """The state file of such work: there from its begin to its end."""

    def go_on(self, state: P, *works: Callable[[P], P]) -> P:
        """Do what is left from the phase of `state` on, and return the state in the last phase.

        `works` are of each phase but the last; each returns the state with what it adds. A phase that is reached is
        remembered, over a reboot too; work that was cut off in one is done again.
        """
        for (phase, following), work in zip(pairwise(self._order), works, strict=True):
            if state.phase == phase:
                state = replace(work(state), phase=following)
                self.write(state)
        return state

    def is_unfinished(self) -> bool:
        """Return whether work has begun and not come to its last phase. Raises ApplianceError where that is lost."""
        state = self.read()
        return state is not None and state.phase != self._order[-1]

    @property
    def _order(self) -> tuple[str, ...]:
        return get_args(get_type_hints(self.kind)["phase"])
