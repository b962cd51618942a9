"""Metrics in CloudWatch's embedded metric format (EMF), written to the log. Off unless METRICS=1.

    Requests                                route, status
    TaskRuns, TaskRetries, TaskFailures     task
    QueueAge, seconds                       queue

The namespace is the service's name. Every metric has the dimension `stage` beside those above. CloudWatch extracts the
metrics from the log lines: no request waits for a call. Powertools' module is imported at the first metric, because its
import takes 17 ms.

Source: CloudWatch User Guide, "Embedding metrics within logs".
"""

from collections.abc import Callable, Mapping

from decant.config import flag, load, setting, settings_group
from decant.observability import LogSettings

__all__ = ["MetricsSettings", "Observer", "is_on", "observe", "record"]

type Observer = Callable[[Mapping[str, float], str, Mapping[str, str]], None]
"""Takes values by the metric's name, their unit, and their dimensions."""


@settings_group
class MetricsSettings:
    """Settings of the metrics."""

    enabled: bool = setting(
        "METRICS", flag, "Write metrics to the log, in CloudWatch's embedded metric format", default=False
    )


_observers: list[Observer] = []


def observe(observer: Observer) -> None:
    """Pass all metrics of the process to another system too, also when METRICS is not set."""
    _observers.append(observer)


def is_on() -> bool:
    """Whether metrics are recorded."""
    return bool(_observers) or load(MetricsSettings).enabled


def record(values: Mapping[str, float], unit: str = "Count", **dimensions: str) -> None:
    """Write a line with metrics that share their unit and dimensions, or nothing when metrics are off.

    Args:
        values: By the metric's name.
        unit: One of CloudWatch's units.
        dimensions: Values by name. CloudWatch keeps a metric for every combination, so their number must be small.
    """
    for observer in _observers:
        observer(values, unit, dimensions)
    if not load(MetricsSettings).enabled:
        return
    from aws_lambda_powertools.metrics import EphemeralMetrics  # noqa: PLC0415  # at the first metric

    current = load(LogSettings)
    metrics = EphemeralMetrics(namespace=current.service)
    for dimension, label in {"stage": current.stage, **dimensions}.items():
        metrics.add_dimension(dimension, label)
    for name, value in values.items():
        metrics.add_metric(name, unit, value)
    metrics.flush_metrics()
