"""What a check is, and what all of them look at."""

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
    """The machine at the Unix time `now`; what several checks ask for is read once."""

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
        """The active environment, None before there is one."""
        return active_env(self.context) if self.paths.active_env.exists() else None

    @cached_property
    def outage(self) -> str:
        """What a visitor of the login page meets instead; empty where it is there."""
        return ask_as_visitor(self.env) if self.env else "there is no active env.yml"

    @cached_property
    def page(self) -> Status | None:
        """What visitors see instead of the application, None while they see the application."""
        return self.context.page.shown()


class Check(Protocol):
    """A module of this package: it alone raises and clears the alerts about its TOPICS (see reporting.topics)."""

    @property
    def TOPICS(self) -> tuple[str, ...]:  # noqa: N802 # a constant of a module
        """Names of topics; one that ends with a colon stands for all that begin so."""
        ...

    def find(self, machine: Machine, /) -> Iterable[Finding]:
        """Yield what is wrong now; takes tenths of a second, and changes nothing."""
        ...
