"""The receiver of traces of the local cloud: what it keeps, what it deletes, and what it rejects."""

import asyncio
import time
from typing import Any
from uuid import UUID

import httpx
import pytest

from decant.console import traces
from decant_cloud.local.collector import Collector
from tests.worlds import execute

TRACE = UUID("4bf92f35-77b3-4da6-a3ce-929d0e0e4736")


def document(count: int, start_s: float = 1.8e9, **fields: Any) -> dict[str, Any]:
    """A request with so many spans."""
    attributes = [
        {"key": "db.query.text", "value": {"stringValue": "SELECT 1\0"}},
        {"key": "api_key", "value": {"stringValue": "s3cret"}},
        {"key": "count", "value": {"intValue": "7"}},
        {"key": "names", "value": {"arrayValue": {"values": [{"stringValue": "a"}]}}},
    ]
    span = {
        "traceId": TRACE.hex,
        "name": "GET /",
        "kind": 2,
        "startTimeUnixNano": str(int(start_s * 1e9)),
        "endTimeUnixNano": str(int(start_s * 1e9) + 1_500_000),
        "attributes": attributes,
        "links": [{"traceId": "1" * 32, "spanId": "2" * 16}],
        "status": {"code": 2, "message": "Broken: no"},
        **fields,
    }
    spans = [{**span, "spanId": f"{number:016x}"} for number in range(1, count + 1)]
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]}


async def test_spans_are_kept_and_shown(database_url: str) -> None:
    """A span is shown with its attributes, without values that must not be shown."""
    with Collector(database_url) as collector:
        async with httpx.AsyncClient() as client:
            response = await client.post(f"{collector.url}/v1/traces", json=document(1, 4e9))

    (shown,) = (await traces.trace(TRACE)).spans
    (request,) = await traces.requests()
    assert response.status_code == 200
    assert (shown.name, shown.service, shown.error, round(shown.seconds, 6)) == ("GET /", "shop", "Broken: no", 0.0015)
    assert shown.attributes == {"db.query.text": "SELECT 1", "api_key": "[redacted]", "count": 7, "names": ["a"]}
    assert shown.links == [UUID("1" * 32)]
    assert (request.trace_id, request.status) == (TRACE, None)


async def test_number_and_age_of_spans_are_limited(database_url: str) -> None:
    """Old spans are deleted, and the newest ten are kept."""
    for spans, start_s in ((5, 1e9), (30, 4e9)):
        with Collector(database_url, most_spans=10, kept_s=3600) as collector:
            collector.take(document(spans, start_s))

    rows = await execute("SELECT number, started > now() AS is_new FROM decant.span ORDER BY number")
    assert len(rows) == 10
    assert all(row["is_new"] for row in rows)


@pytest.mark.parametrize(
    ("path", "content", "status"),
    [
        ("/v1/traces", b"no JSON", 400),
        ("/v1/traces", b"[]", 400),
        ("/v1/traces", b'{"resourceSpans": [{}]}', 400),
        ("/v1/metrics", b"{}", 404),
    ],
)
def test_other_requests_are_rejected(database_url: str, path: str, content: bytes, status: int) -> None:
    """What is not OTLP in JSON is rejected, and the receiver goes on."""
    with Collector(database_url) as collector:
        assert httpx.post(collector.url + path, content=content).status_code == status
        assert httpx.post(f"{collector.url}/v1/traces", json={"resourceSpans": []}).status_code == 200


async def test_rejected_span_is_dropped(database_url: str) -> None:
    """PostgreSQL rejects its id; the others of the same moment are stored."""
    with Collector(database_url) as collector:
        for trace_id in ("no id", TRACE.hex):
            assert collector.take(document(1, 4e9, traceId=trace_id))

    assert [row["trace_id"] for row in await execute("SELECT trace_id FROM decant.span")] == [TRACE]


def test_unavailable_database_is_reported() -> None:
    """Without a database, the response is 503 from the first attempt to store on, and the exporter drops its spans."""
    with Collector("postgresql://postgres:@127.0.0.1:1/none") as collector:
        while httpx.post(f"{collector.url}/v1/traces", json=document(1)).status_code != 503:
            time.sleep(0.01)  # the test's own timeout ends it


async def test_spans_are_stored_after_the_connection_was_lost(database_url: str) -> None:
    """Spans that arrived before the loss was noticed are stored on another connection."""
    with Collector(database_url) as collector:
        collector.take(document(1, 4e9))
        while not await execute("SELECT number FROM decant.span"):  # noqa: ASYNC110  # a row has no event
            await asyncio.sleep(0.01)
        others = "datname = current_database() AND query LIKE '%decant.span%' AND pid <> pg_backend_pid()"
        await execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")  # noqa: S608
        assert collector.take(document(2, 4e9))
        while len(await execute("SELECT number FROM decant.span")) < 3:  # noqa: ASYNC110  # a row has no event
            await asyncio.sleep(0.01)
        assert collector.take(document(1, 4e9))
