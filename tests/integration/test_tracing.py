"""Traces of requests and tasks, as a receiver of OTLP gets them."""

import asyncio
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from decant import db, http, runtime, tracing
from decant.asgi.application import asgi_app
from decant.errors import NotFound
from decant.tasks import chord, task
from decant.web import lambda_handler
from decant.worker.execution import Deadline
from decant.worker.sqs_handler import handle
from decant.workflows import step, workflow
from tests import work
from tests.bridging import client
from tests.loading import ROOT, Context
from tests.otlp import Receiver, collect, receiving
from tests.queues import SqsQueue
from tests.upstream import MISSING_ID, Upstream
from tests.worlds import PostgresWorld, SqsWorld, execute

CALLER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRACE = CALLER.split("-")[1]


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch, database_url: str) -> Iterator[Receiver]:  # noqa: ARG001  # set before
    """A receiver of the test's traces."""
    with receiving(monkeypatch) as started:
        yield started


def app_of(view: Any) -> Flask:
    """An app with a view."""
    app = Flask("traced")
    app.add_url_rule("/orders/<int:_number>", "place_order", view)
    return app


async def send(app: Flask, headers: dict[str, str] | None = None, *, view_threads: int = 0) -> int:
    """Send a request to an app, and export its spans; returns the status."""
    application = asgi_app(app)
    application._view_threads = view_threads
    async with client(application) as connected:
        response = await connected.get("/orders/7?token=s3cret", headers=headers or {})
    await collect()
    return response.status_code


@pytest.mark.parametrize("view_threads", [0, 4])
async def test_request_view_statement_and_http_call_form_one_trace(receiver: Receiver, view_threads: int) -> None:
    """Their spans have the trace of the caller, and each the right parent; no value and no query is exported."""
    seen = []

    async def view(_number: int) -> str:
        async with db.session() as session:
            await session.execute(text("SELECT 'private' FROM decant.task WHERE priority = :p"), {"p": _number})
        seen.append(await http.get_json(upstream.url.replace("://", "://user:s3cret@") + "/1"))
        return "done"

    with Upstream() as upstream:
        status = await send(app_of(view), {"traceparent": CALLER}, view_threads=view_threads)

    request, view_span = receiver.named("GET /orders/<int:_number>"), receiver.named("view place_order")
    statement, call = receiver.named("SELECT decant.task"), receiver.named("GET")
    assert status == 200
    assert {span.trace_id for span in receiver.spans} == {TRACE}
    assert (request.parent_id, view_span.parent_id) == (CALLER.split("-")[2], request.span_id)
    assert statement.parent_id == call.parent_id == view_span.span_id
    assert request.attributes["http.route"] == "/orders/<int:_number>"
    assert request.attributes["http.response.status_code"] == 200
    assert statement.attributes["db.query.text"].startswith("SELECT ? FROM decant.task WHERE priority = $1")
    assert call.attributes["url.full"] == f"{upstream.url}/1"
    assert not any("s3cret" in str(span) or "private" in str(span) for span in receiver.spans)
    assert request.start_ns <= view_span.start_ns <= statement.start_ns <= statement.end_ns <= request.end_ns
    assert request.resource["service.name"] == "app"


@pytest.mark.parametrize("propagators", ["tracecontext", "tracecontext,xray", "xray", "baggage"])
async def test_http_call_passes_the_trace_on(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, propagators: str
) -> None:
    """The other service receives the span of the call in the headers that OTEL_PROPAGATORS names."""
    monkeypatch.setenv("OTEL_PROPAGATORS", propagators)
    runtime.current().reload()
    headers: dict[str, str] = {}

    with Upstream() as upstream:

        async def calling(_number: int) -> str:
            response = await http.client().get(f"{upstream.url}/{MISSING_ID}")
            headers.update(response.request.headers)
            return "done"

        await send(app_of(calling))

    call = receiver.named("GET")
    expected = {
        "tracecontext": ("traceparent", f"00-{call.trace_id}-{call.span_id}-01"),
        "xray": (
            "x-amzn-trace-id",
            f"Root=1-{call.trace_id[:8]}-{call.trace_id[8:]};Parent={call.span_id};Sampled=1",
        ),
    }
    wanted = dict(expected[name] for name in propagators.split(",") if name in expected)
    assert {name: value for name, value in headers.items() if name in dict(expected.values())} == wanted
    assert call.error == "404: Not Found"


async def test_errors_of_views_are_recorded(receiver: Receiver) -> None:
    """An unexpected error marks the view and the request; a rejection marks neither."""

    async def fail(_number: int) -> str:
        raise LookupError("no such shelf")

    async def reject(_number: int) -> str:
        raise NotFound("There is no such order.")

    statuses = [await send(app_of(fail)), await send(app_of(reject))]

    failed, rejected = receiver.all_named("view place_order")
    assert statuses == [500, 404]
    assert (failed.error, rejected.error) == ("LookupError: no such shelf", "")
    assert [span.error.partition(":")[0] for span in receiver.all_named("GET /orders/<int:_number>")] == ["500", ""]


@pytest.mark.parametrize(
    ("header", "parent_id"),
    [
        ("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1", "53995c3f42cd8ad8"),
        ("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0", ""),
        ("Root=1-5759e988-bd862e3fe1be46a994272793", ""),
    ],
)
async def test_header_of_xray_is_understood(receiver: Receiver, header: str, parent_id: str) -> None:
    """The trace is X-Ray's; the parent is its segment if X-Ray has recorded that."""
    await send(app_of(lambda _number: "done"), {"X-Amzn-Trace-Id": header})

    request = receiver.named("GET /orders/<int:_number>")
    assert (request.trace_id, request.parent_id) == ("5759e988bd862e3fe1be46a994272793", parent_id)


async def test_trace_that_is_not_sampled_is_not_exported(receiver: Receiver) -> None:
    """Nothing is exported, and tasks pass the decision on."""

    async def view(_number: int) -> str:
        await work.add.delay(_number)
        return "done"

    await send(app_of(view), {"traceparent": f"{CALLER[:-2]}00"})
    await PostgresWorld().run()
    await collect()

    assert [span for span in receiver.spans if span.trace_id == TRACE] == []


async def test_lambda_function_exports_before_it_is_frozen(receiver: Receiver) -> None:
    """The spans of an event have arrived when the handler returns."""
    event = json.loads((ROOT / "tests/aws_events/rest.json").read_text())

    def serve() -> Any:
        app = Flask("one")
        app.add_url_rule(event["path"], "one", lambda: "done", methods=[event["httpMethod"]])
        return lambda_handler(app)(event, Context())

    result = await asyncio.to_thread(serve)

    assert (result["statusCode"], len(receiver.all_named("view one"))) == (200, 1)


async def test_task_belongs_to_the_trace_of_its_request(receiver: Receiver, queue: SqsQueue) -> None:
    """Enqueue, publish, claim and run are spans of the request's trace, also for a message that comes twice."""

    async def view(_number: int) -> str:
        await work.add.delay(_number)
        return "done"

    await send(app_of(view), {"traceparent": CALLER})
    world = SqsWorld(queue)
    records = queue.receive()
    assert records[0]["messageAttributes"]["traceparent"]["stringValue"].startswith(f"00-{TRACE}-")
    for _ in range(2):
        await handle(records, Deadline(30))
    await world.run()
    await collect()

    enqueued, run = receiver.named("enqueue tests.work.add"), receiver.named("run tests.work.add")
    assert {span.trace_id for span in receiver.spans} == {TRACE}
    assert enqueued.parent_id == receiver.named("view place_order").span_id
    assert receiver.named("INSERT decant.task").parent_id == enqueued.span_id
    assert receiver.named("claim tests.work.add").parent_id == run.parent_id == enqueued.span_id
    assert receiver.named("claim").attributes["decant.claimed"] is False
    assert run.attributes["decant.state"] == "SUCCESS"
    assert receiver.all_named("publish default")


@pytest.mark.usefixtures("new_tasks")
async def test_every_attempt_and_the_wait_between_belong_to_one_trace(receiver: Receiver) -> None:
    """A failed attempt, the wait and the second attempt have one trace, and the tasks that they enqueue too."""

    @task(max_retries=1, autoretry_for=(ValueError,), default_retry_delay=0)
    async def flaky() -> None:
        if not attempts:
            attempts.append(1)
            raise ValueError("not yet")
        await work.add.delay(1)

    attempts: list[int] = []
    await flaky.delay()  # outside of a request: the trace is that of the task
    world = PostgresWorld()
    await world.run()
    await world.advance(1)
    await world.run()
    await collect()

    first, second = receiver.all_named(f"run {flaky.name}")
    waited = receiver.named(f"retry {flaky.name}")
    assert (first.error, second.error) == ("ValueError: not yet", "")
    assert first.trace_id == second.trace_id == waited.trace_id == receiver.named("run tests.work.add").trace_id
    assert [first.attributes["decant.attempt"], second.attributes["decant.attempt"]] == [1, 2]
    assert waited.start_ns <= waited.end_ns


async def test_chord_is_one_trace_and_a_batch_has_links(receiver: Receiver) -> None:
    """All members, the body, and the claims are in the trace of the caller; the batch links to its tasks."""

    async def view(_number: int) -> str:
        await chord([work.add.s(n) for n in range(3)], work.total.s()).delay()
        return "done"

    await send(app_of(view), {"traceparent": CALLER})
    await PostgresWorld().run()
    await collect()

    runs = [span for span in receiver.spans if span.name.startswith("run ")]
    batch = receiver.all_named("claim")[0]
    claims = receiver.all_named("claim tests.work.add")
    assert sorted(span.name for span in runs) == ["run tests.work.add"] * 3 + ["run tests.work.total"]
    assert {span.trace_id for span in [*runs, *claims]} == {TRACE}
    assert batch.trace_id != TRACE
    assert {trace for trace, _ in batch.links} == {TRACE}
    assert claims[0].links == [(batch.trace_id, batch.span_id)]


@pytest.mark.usefixtures("new_tasks")
async def test_steps_of_a_workflow_are_spans_of_its_run(receiver: Receiver) -> None:
    """Every step that is executed is a span inside of the run."""

    @workflow
    async def order() -> int:
        return await step(charge) + await step(charge)

    async def charge() -> int:
        return 1

    run = await order.start()
    await PostgresWorld().run()
    await collect()

    assert await run.result() == 2
    steps = receiver.all_named("step charge")
    assert [span.attributes["decant.step.number"] for span in steps] == [0, 1]
    assert {span.parent_id for span in steps} == {receiver.named(f"run {order.name}").span_id}


async def test_failing_receiver_fails_no_request(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    """Requests are served, and one warning is logged."""
    receiver.status = 503

    with caplog.at_level(logging.WARNING, "decant.tracing"):
        statuses = [await send(app_of(lambda _number: "done")) for _ in range(3)]

    assert statuses == [200, 200, 200]
    assert [record.getMessage() for record in caplog.records if record.name == "decant.tracing"] == [
        "Could not export traces; spans are dropped until the receiver accepts them"
    ]


async def test_settings_of_the_export_are_sent(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Headers, the service's name and attributes of the process reach the receiver."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "team=orders")

    await send(app_of(lambda _number: "done"))

    resource = receiver.named("view place_order").resource
    assert receiver.requests[0]["api-key"] == "a b"
    assert (resource["service.name"], resource["team"]) == ("shop", "orders")


async def test_application_adds_spans_of_its_own(receiver: Receiver) -> None:
    """A span of the application lies inside of the view; without a trace, it does nothing."""

    async def view(_number: int) -> str:
        with tracing.span("pick", {"shelf": "A"}) as span:
            span.set({"found": True})
        return "done"

    with tracing.span("outside") as nothing:
        nothing.set({"a": 1})
    await send(app_of(view))

    assert receiver.named("pick").attributes == {"shelf": "A", "found": True}
    assert receiver.all_named("outside") == []


@pytest.mark.usefixtures("database_url")
async def test_off_records_nothing() -> None:
    """Without a receiver, rows of tasks contain no trace."""
    await work.add.delay(1)

    assert tracing.tracer() is None
    assert [row["options"] for row in await execute("SELECT options FROM decant.task")] == [None]
