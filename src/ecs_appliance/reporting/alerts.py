"""Alerts about current problems: logged, stored in one file each, and exported as metrics."""

import hashlib
import logging
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.core.log import masked
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.state import StateFile
from ecs_appliance.reporting.metrics import Sample, write_metrics
from ecs_appliance.reporting.topics import Severity, topic_of

log = logging.getLogger(__name__)

# An alert that stays active is logged again daily, since journals are read by the day.
REPEAT_SECONDS = 86400
METRIC = "appliance_alert"
HELP = {METRIC: "1 for each active alert."}


@dataclass(frozen=True)
class Finding:
    """A problem with `topic`, and the next step."""

    topic: str
    severity: Severity
    message: str
    hint: str = ""


@dataclass(frozen=True)
class Alert:
    """An active alert on `topic` (certificate:www.example.org); `since` and `told` (last logged) are Unix seconds."""

    topic: str
    severity: Severity
    message: str
    hint: str
    since: float
    told: float


@dataclass(frozen=True)
class Alerts:
    """The alerts of the machine with `paths`."""

    paths: Paths

    def tell(self, topics: Collection[str], findings: Iterable[Finding]) -> None:
        """Raise alerts for `findings`, the first one of each topic, and clear all others about `topics`.

        A topic that ends with a colon means all that start with it.
        """
        found = {finding.topic: finding for finding in reversed(list(findings))}
        for finding in found.values():
            self.put(finding.topic, finding.severity, finding.message, finding.hint)
        for alert in self.standing():
            if alert.topic not in found and _is_one_of(alert.topic, topics):
                self.clear(alert.topic)

    def preview(self, topics: Collection[str], findings: Iterable[Finding]) -> list[Alert]:
        """Return the alerts that would be active after `tell`, worst and oldest first; changes nothing."""
        standing, now = {alert.topic: alert for alert in self.standing()}, time.time()
        kept = {topic: alert for topic, alert in standing.items() if not _is_one_of(topic, topics)}
        for each in findings:
            since = standing[each.topic].since if each.topic in standing else now
            alert = Alert(each.topic, *_said(each.topic, each.severity, each.message, each.hint), since=since, told=now)
            kept.setdefault(each.topic, alert)
        return _in_order(kept.values())

    def put(self, topic: str, severity: Severity, message: str, hint: str = "") -> None:
        """Raise the alert about `topic`. It is logged if it is new or changed, and again each day that it stays active.

        Without a `hint`, the topic's remedy is used. If it cannot be written to disk, it is kept in /run until reboot.
        """
        now, held = time.time(), self._held(topic)
        said = _said(topic, severity, message, hint)
        news = held is None or (held.severity, held.message, held.hint) != said
        # 0 <= …: a clock that was ahead must not silence it for years.
        if held is not None and not news and 0 <= now - held.told < REPEAT_SECONDS:
            return
        alert = Alert(topic, *said, since=now if held is None else held.since, told=now)
        log.error("%s: %s\n  → %s", alert.severity, alert.message, alert.hint)
        self._write(alert)
        self._count()

    def put_failure(self, topic: str, severity: Severity, what: str, failure: ApplianceError) -> None:
        """Raise the alert about `topic` for `failure` of `what`, and mark the failure as reported."""
        self.put(topic, severity, f"{what}: {failure.summary}" if what else failure.summary, failure.hint)
        failure.alerted = True

    def clear(self, topic: str) -> None:
        """Clear the alert about `topic`, if there is one."""
        held = self._held(topic)
        if held is None:
            return
        for file in self._files(topic):
            file.unlink(missing_ok=True)
        log.info("resolved: %s", held.message)
        self._count()

    def standing(self, prefix: str = "") -> list[Alert]:
        """Return the active alerts about topics that start with `prefix`, worst and oldest first."""
        found = [alert for folder in self._folders for file in folder.glob("*.json") if (alert := self._read(file))]
        alerts = {alert.topic: alert for alert in sorted(found, key=lambda alert: alert.told)}
        return _in_order(alert for alert in alerts.values() if alert.topic.startswith(prefix))

    def stands(self, topic: str) -> bool:
        """Return whether there is an active alert about `topic`."""
        return self._held(topic) is not None

    @property
    def _folders(self) -> tuple[Path, Path]:
        """The folder of alerts, and the fallback if the disk is full."""
        return self.paths.state / "alerts", self.paths.run / "alerts"

    def _files(self, topic: str) -> list[Path]:
        name = f"{hashlib.sha256(topic.encode()).hexdigest()[:32]}.json"
        return [folder / name for folder in self._folders]

    def _held(self, topic: str) -> Alert | None:
        found = [alert for file in self._files(topic) if (alert := self._read(file))]
        return max(found, key=lambda alert: alert.told, default=None)

    def _write(self, alert: Alert) -> None:
        for file in self._files(alert.topic):
            try:
                _file(file).write(alert)
            except OSError as error:
                log.warning("the alert could not be saved in %s: %s", file.parent, error.strerror)
            else:
                return

    def _read(self, file: Path) -> Alert | None:
        try:
            return _file(file).read()
        except OSError:
            return None

    def _count(self) -> None:
        samples = [Sample(METRIC, 1, {"topic": alert.topic, "severity": alert.severity}) for alert in self.standing()]
        write_metrics(self.paths, "alerts", samples, HELP)


def _file(path: Path) -> StateFile[Alert]:
    return StateFile(path, Alert, mode=0o644)


def _is_one_of(topic: str, topics: Collection[str]) -> bool:
    return topic in topics or topic.startswith(tuple(each for each in topics if each.endswith(":")))


def _said(topic: str, severity: Severity, message: str, hint: str) -> tuple[Severity, str, str]:
    return severity, masked(message), masked(hint or topic_of(topic).remedy.replace("`", ""))


def _in_order(alerts: Iterable[Alert]) -> list[Alert]:
    return sorted(alerts, key=lambda alert: (alert.severity, alert.since))
