"""Traces with OpenTelemetry's SDK, in a process of its own, because its provider cannot be replaced."""

import json
import subprocess
import sys

from tests.loading import ROOT

PROGRAM = """
import asyncio, json
from flask import Flask
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
if CONFIGURED:
    trace.set_tracer_provider(provider)

from decant import tracing
from decant.web import lambda_handler
from tests.loading import Context

app = Flask("app")

@app.get("/orders")
async def orders():
    with trace.get_tracer("own").start_as_current_span("own"):
        with tracing.span("inner", {"a": None, "b": 1}):
            pass
    raise LookupError("no")

event = json.loads(open("tests/aws_events/rest.json").read())
event |= {"path": "/orders", "httpMethod": "GET"}
event["headers"]["traceparent"] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
event.get("multiValueHeaders", {})["traceparent"] = [event["headers"]["traceparent"]]
response = lambda_handler(app)(event, Context())
spans = {
    span.name: [
        f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}", f"{span.parent.span_id:016x}", span.kind.name,
        span.status.status_code.name,
    ]
    for span in exporter.get_finished_spans()
}
print(json.dumps([response["statusCode"], spans]))
"""


def run(*, configured: bool) -> tuple[int, dict[str, list[str]]]:
    """Serve an event whose view uses the SDK; returns the status, and the spans by name."""
    program = PROGRAM.replace("CONFIGURED", str(configured))
    environment = {"PYTHONPATH": f"{ROOT / 'shared'}:{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    status, spans = json.loads(done.stdout.splitlines()[-1])
    return status, spans


def test_spans_are_made_with_the_sdk_that_the_application_has_configured() -> None:
    """Spans of the library and of the application form one trace, in the order of their nesting."""
    status, spans = run(configured=True)

    request, view, own, inner = (spans[name] for name in ("GET /orders", "view orders", "own", "inner"))
    assert status == 500
    assert {span[0] for span in spans.values()} == {"4bf92f3577b34da6a3ce929d0e0e4736"}
    assert [request[2], view[2], own[2], inner[2]] == ["00f067aa0ba902b7", request[1], view[1], own[1]]
    assert [request[3], view[3]] == ["SERVER", "INTERNAL"]
    assert [request[4], view[4], inner[4]] == ["ERROR", "ERROR", "UNSET"]


def test_sdk_without_a_provider_records_nothing() -> None:
    """An application that imports the SDK and does not configure it is served as without it."""
    assert run(configured=False) == (500, {})
