"""Metrics: lines of the log that CloudWatch reads."""

import json

import pytest
from flask import Flask

from decant import metrics
from decant.asgi import FlaskToAsgi
from decant_cloud.local.prometheus import PrometheusMetrics
from tests.bridging import client
from tests.loading import run_python


@pytest.fixture
def enabled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turn metrics on, for the service `shop` in the stage `prod`."""
    for name, value in {"METRICS": "1", "SERVICE": "shop", "STAGE": "prod"}.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("enabled")
def test_metric_is_a_line_in_the_embedded_format(capsys: pytest.CaptureFixture[str]) -> None:
    """A line declares its metrics, with the service as namespace, and holds their values and dimensions."""
    metrics.record({"TaskRuns": 3, "TaskRetries": 1}, task="mail")

    line = json.loads(capsys.readouterr().out)
    [directive] = line["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "shop"
    assert directive["Dimensions"] == [["stage", "task"]]
    assert [(each["Name"], each["Unit"]) for each in directive["Metrics"]] == [
        ("TaskRuns", "Count"),
        ("TaskRetries", "Count"),
    ]
    assert (line["stage"], line["task"], line["TaskRuns"], line["TaskRetries"]) == ("prod", "mail", [3.0], [1.0])


@pytest.mark.usefixtures("enabled")
def test_metrics_are_independent_of_those_before(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither values nor dimensions stay for the next line."""
    metrics.record({"Requests": 1}, route="GET /a", status="200")
    capsys.readouterr()

    metrics.record({"QueueAge": 2.5}, unit="Seconds", queue="default")

    line = json.loads(capsys.readouterr().out)
    assert line["_aws"]["CloudWatchMetrics"][0]["Metrics"] == [{"Name": "QueueAge", "Unit": "Seconds"}]
    assert "route" not in line


def test_metrics_are_off_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    """Without METRICS, nothing is written."""
    metrics.record({"Requests": 1})

    assert capsys.readouterr().out == ""


def test_metrics_are_imported_with_the_first() -> None:
    """Powertools' module is not imported before a metric is recorded."""
    imports = "import sys; from decant import metrics; metrics.record({'Requests': 1})"

    printed = run_python(f"{imports}; print('aws_lambda_powertools' in sys.modules)")

    assert printed.split() == ["False"]


async def test_metrics_are_served_for_prometheus(monkeypatch: pytest.MonkeyPatch) -> None:
    """`GET /metrics` has counters and gauges with their labels; other paths reach the app."""
    monkeypatch.setattr(metrics, "_observers", [])
    prometheus = PrometheusMetrics()
    metrics.observe(prometheus.record)
    app = Flask("app")
    app.add_url_rule("/other", view_func=lambda: "app", endpoint="other")

    metrics.record({"TaskRuns": 3, "TaskRetries": 1}, task="mail")
    metrics.record({"TaskRuns": 1}, task="mail")
    metrics.record({"QueueAge": 2.5}, unit="Seconds", queue="default")
    async with client(prometheus.served_beside(FlaskToAsgi(app))) as http:
        served, other = (await http.get("/metrics")).text, (await http.get("/other")).text

    assert 'decant_task_runs_total{task="mail"} 4.0' in served
    assert 'decant_task_retries_total{task="mail"} 1.0' in served
    assert 'decant_queue_age_seconds{queue="default"} 2.5' in served
    assert "process_resident_memory_bytes" in served
    assert other == "app"
