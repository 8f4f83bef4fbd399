"""The context that is passed to every stage."""

from dataclasses import dataclass, field

from ecs_appliance.core.markers import MarkerFolder
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import SystemRunner
from ecs_appliance.core.steps import Steps, log_step
from ecs_appliance.reporting.alerts import Alerts
from ecs_appliance.reporting.status import StatusPage


@dataclass(frozen=True)
class Context:
    """The machine a stage works on."""

    paths: Paths = field(default_factory=Paths)
    runner: SystemRunner = field(default_factory=SystemRunner)

    @property
    def tags(self) -> MarkerFolder:
        return MarkerFolder(self.paths.tags)

    @property
    def flags(self) -> MarkerFolder:
        return MarkerFolder(self.paths.flags)

    @property
    def page(self) -> StatusPage:
        return StatusPage(self.paths)

    @property
    def alerts(self) -> Alerts:
        return Alerts(self.paths)

    def steps(self) -> Steps:
        """Return steps that are shown on the status page and in the journal."""
        return Steps([self.page, log_step])
