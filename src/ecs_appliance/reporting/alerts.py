"""Alerts: what a person has to know of, as long as it holds: told in the journal, kept in a file each, counted."""

import hashlib
import json
import logging
import time
from collections.abc import Container, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from ecs_appliance.core.files import read_optional, write_atomic
from ecs_appliance.core.log import masked
from ecs_appliance.core.paths import Paths
from ecs_appliance.reporting.metrics import Sample, write_metrics

log = logging.getLogger(__name__)

Severity = Literal["warning", "critical"]

# A standing alert is told again so often, in seconds: journals are read by the day.
REPEAT_SECONDS = 86400
METRIC = "appliance_alert"
HELP = {METRIC: "1 for each alert that holds now."}


@dataclass(frozen=True)
class Finding:
    """What is wrong with `topic`, and the next step."""

    topic: str
    severity: Severity
    message: str
    hint: str = ""


@dataclass(frozen=True)
class Alert:
    """`topic` is what it is about (certificate:www.example.org), `since` and `told` are Unix seconds."""

    topic: str
    severity: Severity
    message: str
    hint: str
    since: float
    told: float


@dataclass(frozen=True)
class Alerts:
    """The alerts of the machine below `paths`."""

    paths: Paths

    def tell(self, topics: Iterable[str], findings: Iterable[Finding]) -> None:
        """Each of `topics` is as the first of `findings` about it says, or well where there is none."""
        found = {finding.topic: finding for finding in reversed(list(findings))}
        for topic in topics:
            finding = found.get(topic)
            if finding is None:
                self.clear(topic)
            else:
                self.put(topic, finding.severity, finding.message, finding.hint)

    def put(self, topic: str, severity: Severity, message: str, hint: str = "") -> None:
        """`topic` is wrong. The journal has it at once where that is news, and again each day that it stays so."""
        now, held = time.time(), self._read(self._file(topic))
        said = (severity, masked(message), masked(hint))
        news = held is None or (held.severity, held.message, held.hint) != said
        # A clock that was ahead must not silence it for years.
        if held is not None and not news and 0 <= now - held.told < REPEAT_SECONDS:
            return
        alert = Alert(topic, *said, since=now if held is None else held.since, told=now)
        write_atomic(self._file(topic), json.dumps(asdict(alert)), mode=0o644)
        log.error("%s: %s%s", alert.severity, alert.message, f"\n  → {alert.hint}" if alert.hint else "")
        self._count()

    def clear(self, topic: str) -> None:
        """`topic` is well."""
        held = self._read(self._file(topic))
        if held is None:
            return
        self._file(topic).unlink(missing_ok=True)
        log.info("no longer: %s", held.message)
        self._count()

    def forget(self, prefixes: tuple[str, ...], *, but: Container[str]) -> None:
        """Clear what is about things that are no more: topics with one of `prefixes` that are not in `but`."""
        for alert in self.standing():
            if alert.topic.startswith(prefixes) and alert.topic not in but:
                self.clear(alert.topic)

    def standing(self) -> list[Alert]:
        """The alerts that hold now, the worst and oldest first."""
        found = (self._read(file) for file in self._folder.glob("*.json"))
        return sorted((alert for alert in found if alert), key=lambda alert: (alert.severity, alert.since))

    @property
    def _folder(self) -> Path:
        return self.paths.state / "alerts"

    def _file(self, topic: str) -> Path:
        return self._folder / f"{hashlib.sha256(topic.encode()).hexdigest()[:32]}.json"

    def _read(self, file: Path) -> Alert | None:
        try:
            return Alert(**json.loads(read_optional(file) or "null"))
        except (ValueError, TypeError):
            return None

    def _count(self) -> None:
        samples = [Sample(METRIC, 1, {"topic": alert.topic, "severity": alert.severity}) for alert in self.standing()]
        write_metrics(self.paths, "alerts", samples, HELP)
