"""Shows what the machine does while the site is down: status.json for operators, the 503 page for visitors."""

import json
import logging
import math
import time
from dataclasses import dataclass, replace
from itertools import dropwhile
from pathlib import Path
from typing import Literal

from ecs_appliance.core.files import read_optional, write_atomic, write_together
from ecs_appliance.core.log import masked
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.state import StateFile
from ecs_appliance.core.steps import StepEvent
from ecs_appliance.core.text import summarize
from ecs_appliance.reporting.visitor_page import SiteNotice, public, render

log = logging.getLogger(__name__)

Kind = Literal["installed", "starting", "standby", "no-database", "recovering", "failed", "stopped"]

PUBLIC = 0o644
# All steps of a start, in order, with their titles in both languages.
STEPS: dict[str, tuple[str, str]] = {
    "environment": ("Reading the environment", "Umgebung (env.yml) wird gelesen"),
    "storage": ("Preparing storage", "Datenspeicher wird vorbereitet"),
    "converge": ("Configuring the machine", "Server wird eingerichtet"),
    "database": ("Preparing the database", "Datenbank wird vorbereitet"),
    "vault-keys": ("Importing the vault keys", "Schlüssel der Dokumente werden eingelesen"),
    "source": ("Fetching the application", "Anwendung wird heruntergeladen"),
    "images": ("Building the application", "Anwendung wird gebaut"),
    "migration": ("Migrating the database", "Datenbank wird aktualisiert"),
    "containers": ("Starting the application", "Anwendung wird gestartet"),
}
HEADLINES: dict[Kind, tuple[str, str]] = {
    "installed": ("Installed. Waiting for env.yml", "Installiert, wartet auf env.yml"),
    "starting": ("Starting", "Wird gestartet"),
    "standby": ("Standby", "Wartungsmodus"),
    "no-database": (
        "No database: create one or recover from backup",
        "Keine Datenbank: bitte anlegen oder aus der Sicherung wiederherstellen",
    ),
    "recovering": ("Recovering from backup", "Wird aus der Sicherung wiederhergestellt"),
    "failed": ("Not available", "Nicht verfügbar"),
    "stopped": ("Stopped", "Außer Betrieb"),
}


@dataclass(frozen=True)
class Status:
    """Content of status.json, which is not public.

    Times are Unix seconds; `usual` is the duration of the step last time, in seconds. The site is down since `began`,
    until about `until`; 0 if unknown.
    """

    kind: Kind
    headline: str
    headline_de: str
    step: str = ""
    step_de: str = ""
    number: int = 0
    of: int = len(STEPS)
    since: int = 0
    usual: float = 0.0
    error: str = ""
    next: str = ""
    updated: int = 0
    began: int = 0
    until: int = 0


@dataclass(frozen=True)
class StatusPage:
    """Writes the page below `paths`; a listener of steps. All text is masked, and escaped where it is displayed."""

    paths: Paths

    def show(self, kind: Kind, *, error: str = "", next_step: str = "") -> None:
        """Show `kind` with a one-line `error` and the next step."""
        self._try_to_write(_status(kind, error=error, next_step=next_step))

    def fail(self, error: str, next_step: str) -> None:
        """Show a failure and the next step, with the step that is shown now, if any."""
        shown = self.shown()
        fresh = _status("failed", error=error, next_step=next_step)
        if shown is not None and shown.kind in ("starting", "failed"):
            fresh = replace(fresh, step=shown.step, step_de=shown.step_de, number=shown.number)
        self._try_to_write(fresh)

    def hide(self) -> None:
        """Remove the page: the site is up, so nginx passes requests to it."""
        for name in ("503.html", "status.json", "visitors.json"):
            (self.paths.www / name).unlink(missing_ok=True)

    def holds(self, site: SiteNotice) -> bool:
        """Return whether `hold` would change nothing for `site`."""
        return self.site() == site and read_optional(self._held) == render("failed", site)

    def ever_held(self) -> bool:
        """Return whether `hold` was ever called; if not, this is a new machine."""
        return self._held.exists()

    def hold(self, site: SiteNotice) -> None:
        """Store the name and contact for all pages, and the page for when the application does not answer."""
        self._site_file.write(site)
        write_atomic(self._held, render("failed", site), mode=PUBLIC)
        shown = self.shown()
        if shown is not None and (self.paths.www / "503.html").exists():
            self._write(shown)

    @property
    def _held(self) -> Path:
        return self.paths.www / "unavailable.html"

    def shown(self) -> Status | None:
        """Return what is shown now, None if the site is up."""
        return self._status_file.read()

    def __call__(self, event: StepEvent) -> None:
        """Show a step of a start; a completed one stores its duration for next time."""
        if event.name not in STEPS:
            return
        if event.state == "done":
            self._remember(event)
            return
        english, german = STEPS[event.name]
        usual, shown = self._durations(), self.shown()
        # The last error stays visible until the start succeeds.
        last = shown if shown and shown.kind in ("starting", "failed") and not event.error else None
        self._try_to_write(
            _status(
                "starting" if event.state == "running" else "failed",
                step=english,
                step_de=german,
                number=list(STEPS).index(event.name) + 1,
                usual=usual.get(event.name, 0.0),
                left=sum(usual.get(step, 0.0) for step in dropwhile(event.name.__ne__, STEPS)),
                error=event.error or (last.error if last else ""),
                next_step=last.next if last else "",
            )
        )

    def _try_to_write(self, status: Status) -> None:
        """Write the page; failing to is only logged, so that it does not fail the stage."""
        try:
            self._write(status)
        except OSError as error:
            log.warning("the status page could not be written: %s", error)

    def _write(self, status: Status) -> None:
        shown = self.shown()
        status = replace(status, began=(shown.began or shown.since if shown else 0) or status.since)
        public_part = public(status.kind, since=status.began, until=status.until)
        page = render(status.kind, self.site(), since=status.began, until=status.until)
        write_together(
            {
                self._status_file.path: self._status_file.dump(status),
                self.paths.www / "visitors.json": json.dumps(public_part, ensure_ascii=False),
                self.paths.www / "503.html": page,
            },
            mode=PUBLIC,
        )

    def site(self) -> SiteNotice:
        """Return the site's name and contact as of the last converge."""
        return self._site_file.read() or SiteNotice()

    @property
    def _status_file(self) -> StateFile[Status]:
        return StateFile(self.paths.www / "status.json", Status, PUBLIC)

    @property
    def _site_file(self) -> StateFile[SiteNotice]:
        return StateFile(self.paths.state / "site.json", SiteNotice, PUBLIC)

    @property
    def _durations_file(self) -> StateFile[dict[str, float]]:
        return StateFile(self.paths.state / "durations.json", dict[str, float], PUBLIC)

    def usual_seconds(self, step: str) -> float | None:
        """Return how many seconds `step` took last time, None if it never succeeded."""
        return self._durations().get(step)

    def _durations(self) -> dict[str, float]:
        return self._durations_file.read() or {}

    def _remember(self, event: StepEvent) -> None:
        self._durations_file.write({**self._durations(), event.name: event.seconds})


def _status(
    kind: Kind,
    *,
    step: str = "",
    step_de: str = "",
    number: int = 0,
    usual: float = 0.0,
    left: float = 0.0,
    error: str = "",
    next_step: str = "",
) -> Status:
    now = int(time.time())
    english, german = HEADLINES[kind]
    return Status(
        kind=kind,
        headline=english,
        headline_de=german,
        step=step,
        step_de=step_de,
        number=number,
        since=now,
        usual=usual,
        error=summarize(masked(error)),
        next=masked(next_step),
        updated=now,
        until=now + math.ceil(left) if kind == "starting" and usual else 0,
    )
