"""Metrics of `make serve` for Prometheus, at `/metrics`: those of `decant.metrics`, and those of the process."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

if TYPE_CHECKING:
    from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope

__all__ = ["PrometheusMetrics"]

_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")


class PrometheusMetrics:
    """The metrics; register `record` with `decant.metrics.observe`."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._known: dict[str, Counter | Gauge] = {}

    def record(self, values: Mapping[str, float], unit: str, dimensions: Mapping[str, str]) -> None:
        """Add to counters, and set gauges; see `decant.metrics.record`."""
        for name, value in values.items():
            metric = self._known.get(name) or self._add(name, unit, dimensions)
            labelled = metric.labels(**dimensions)
            if isinstance(labelled, Counter):
                labelled.inc(value)
            else:
                labelled.set(value)

    def _add(self, name: str, unit: str, dimensions: Mapping[str, str]) -> Counter | Gauge:
        snake = f"decant_{_WORD.sub('_', name).lower()}"
        labels, about = list(dimensions), f"{name}, {unit.lower()}"
        metric: Counter | Gauge
        if unit == "Count":
            metric = Counter(snake, about, labels, registry=self._registry)
        else:
            metric = Gauge(f"{snake}_{unit.lower()}", about, labels, registry=self._registry)
        self._known[name] = metric
        return metric

    def served_beside(self, app: "ASGI3Application") -> "ASGI3Application":
        """An ASGI application that responds to `GET /metrics` itself, and passes everything else on."""

        async def serve(scope: "Scope", receive: "ASGIReceiveCallable", send: "ASGISendCallable") -> None:
            if scope["type"] != "http" or scope["path"] != "/metrics" or scope["method"] != "GET":
                await app(scope, receive, send)
                return
            headers = [(b"content-type", CONTENT_TYPE_LATEST.encode())]
            start: Any = {"type": "http.response.start", "status": 200, "headers": headers, "trailers": False}
            await send(start)
            await send({"type": "http.response.body", "body": generate_latest(self._registry), "more_body": False})

        return serve
