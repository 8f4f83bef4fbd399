"""Writes metrics in Prometheus' text format for the textfile collector of the node exporter."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ecs_appliance.core.files import write_atomic
from ecs_appliance.core.paths import Paths

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sample:
    """One value of the metric `name`; names end with their unit, times are Unix seconds."""

    name: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


def write_metrics(paths: Paths, topic: str, samples: Iterable[Sample], helps: Mapping[str, str]) -> None:
    """Replace the metrics of `topic` with `samples`; `helps` describes each name.

    If they cannot be written, as before the first converge or on a full disk, that is only logged.
    """
    try:
        write_atomic(paths.metrics / f"appliance-{topic}.prom", render_metrics(samples, helps), mode=0o644)
    except OSError as error:
        log.warning("the metrics of %s could not be written: %s", topic, error)


def render_metrics(samples: Iterable[Sample], helps: Mapping[str, str]) -> str:
    """Return `samples` in the text format, grouped by name, as gauges."""
    by_name: dict[str, list[Sample]] = {}
    for sample in samples:
        by_name.setdefault(sample.name, []).append(sample)
    lines = []
    for name, group in by_name.items():
        lines += [f"# HELP {name} {helps[name]}", f"# TYPE {name} gauge"]
        lines += [f"{name}{_labels(sample.labels)} {sample.value:.15g}" for sample in group]
    return "".join(f"{line}\n" for line in lines)


def _labels(labels: Mapping[str, str]) -> str:
    pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{pairs}}}" if pairs else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
