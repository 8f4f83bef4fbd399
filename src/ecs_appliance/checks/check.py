"""The interface of a check, and the machine it inspects."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import Runner
from ecs_appliance.env.model import Env
from ecs_appliance.lifecycle.context import Context
from ecs_appliance.lifecycle.prepare_env import active_env
from ecs_appliance.lifecycle.probe import ask_as_visitor
from ecs_appliance.reporting.alerts import Finding
from ecs_appliance.reporting.status import Status


@dataclass(frozen=True)
class Machine:
    """The machine at the Unix time `now`; what several checks need is read only once."""

    context: Context
    now: float = field(default_factory=time.time)

    @property
    def paths(self) -> Paths:
        return self.context.paths

    @property
    def runner(self) -> Runner:
        return self.context.runner

    @cached_property
    def env(self) -> Env | None:
        """The active environment, None if there is none yet."""
        return active_env(self.context) if self.paths.active_env.exists() else None

    @cached_property
    def outage(self) -> str:
        """What a visitor gets instead of the login page; empty if the page answers."""
        return ask_as_visitor(self.env) if self.env else "there is no active env.yml"

    @cached_property
    def page(self) -> Status | None:
        """What visitors see instead of the application; None if they see the application."""
        return self.context.page.shown()


class Check(Protocol):
    """A module of this package; only it raises and clears the alerts about its TOPICS (see reporting.topics)."""

    @property
    def TOPICS(self) -> tuple[str, ...]:  # noqa: N802 # a constant of a module
        """Names of topics; one that ends with a colon means all that start with it."""
        ...

    def find(self, machine: Machine, /) -> Iterable[Finding]:
        """Yield what is wrong now; takes tenths of a second and changes nothing."""
        ...
