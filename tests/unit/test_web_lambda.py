"""The Lambda handler: answers in every format, correlation ids, stray tasks, and errors that stay inside."""

import asyncio
import base64
import gzip
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask, Response, request

from decant import loop, observability
from decant.asgi import await_
from decant.web import lambda_handler
from tests.loading import Context, sample

pytestmark = pytest.mark.usefixtures("kept_logs")

FORMATS = ["rest", "http_1", "http_2", "function_url", "load_balancer", "load_balancer_multi_value"]


def answering(answer: Any) -> Flask:
    """An app that answers everything with this, or what this makes."""
    app = Flask("bridged")

    @app.route("/my/path", methods=["GET", "POST"])
    async def view() -> Any:
        await asyncio.sleep(0)
        return answer if isinstance(answer, str | Response) else answer()

    return app


def invoke(app: Flask, given: dict[str, Any] | None = None) -> dict[str, Any]:
    """Invoke the app's handler."""
    return lambda_handler(app, secure_defaults=False)(sample("rest") if given is None else given, Context())


@pytest.mark.parametrize("name", FORMATS)
def test_text_answers_as_text(name: str) -> None:
    """Readable as it is."""
    answer = invoke(answering("déjà vu"), sample(name))

    assert (answer["statusCode"], answer["body"], answer["isBase64Encoded"]) == (200, "déjà vu", False)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    "response",
    [
        Response(bytes(range(256)), content_type="application/octet-stream"),
        Response(gzip.compress(b"text"), content_type="text/plain", headers={"Content-Encoding": "gzip"}),
        Response("café".encode("latin-1"), content_type="text/plain; charset=latin-1"),
    ],
    ids=["binary", "compressed text", "text in another encoding"],
)
def test_bytes_answer_in_base64(name: str, response: Response) -> None:
    """What is no UTF-8 text goes out byte for byte."""
    answer = invoke(answering(response), sample(name))

    assert answer["isBase64Encoded"] is True
    assert base64.b64decode(answer["body"]) == response.get_data()


@pytest.mark.parametrize(
    ("content_type", "in_base64"),
    [
        ("application/problem+json", False),
        ("application/x-ndjson", False),
        ("image/svg+xml", False),
        ("TEXT/HTML; charset=utf-8", False),
        ("image/png", True),
        ("application/json-seq", True),
    ],
)
def test_content_type_tells_text_from_bytes(content_type: str, *, in_base64: bool) -> None:
    """For any bytes: a picture that happens to be ASCII stays a picture."""
    answer = invoke(answering(Response("ascii", content_type=content_type)))

    assert answer["isBase64Encoded"] is in_base64


@pytest.mark.parametrize("name", FORMATS)
def test_several_cookies_stay_apart(name: str) -> None:
    """Each format has its own notation for two Set-Cookie headers."""

    def two_cookies() -> Response:
        response = Response("ok")
        response.set_cookie("one", "1")
        response.set_cookie("two", "2")
        return response

    answer = invoke(answering(two_cookies), sample(name))

    several = answer.get("multiValueHeaders", {}).get("set-cookie") or answer.get("cookies")
    single = [value for header, value in answer.get("headers", {}).items() if header.lower() == "set-cookie"]
    assert [cookie.partition(";")[0] for cookie in several or single] == ["one=1", "two=2"]


@pytest.mark.parametrize("name", FORMATS)
def test_repeated_header_keeps_every_value(name: str) -> None:
    """Each format has its own notation for them."""
    response = Response("ok", headers=[("Link", "</one>"), ("Link", "</two>"), ("X-Name", "alone")])

    answer = invoke(answering(response), sample(name))

    several = answer.get("multiValueHeaders", {})
    joined = answer.get("headers", {}).get("link")
    assert several.get("link") == ["</one>", "</two>"] or joined == "</one>, </two>"
    assert several.get("x-name") == ["alone"] or answer["headers"]["x-name"] == "alone"


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("host", ["", "a:b:c", "[::1]:8080", "bücher.example"])
def test_host_of_any_form_is_answered(name: str, host: str) -> None:
    """A client may send what it likes: that is no reason for the function to fail."""
    given = sample(name)
    for member in ("headers", "multiValueHeaders"):
        if member in given:
            others = {header: value for header, value in given[member].items() if header.lower() != "host"}
            given[member] = others | {"Host": host if member == "headers" else [host]}

    answer = invoke(answering("ok"), given)

    assert answer["statusCode"] in {200, 400}


def test_header_beyond_ascii_leaves_as_text() -> None:
    """Latin-1 on HTTP's wire, text in the answer's JSON."""
    answer = invoke(answering(Response("ok", headers={"X-Name": "café"})))

    assert answer["headers"]["x-name"] == "café"


def test_sync_view_runs_on_the_loops_own_thread() -> None:
    """An environment serves one request at a time: a worker thread would have no use."""
    app = Flask("bridged")
    app.add_url_rule("/my/path", "view", lambda: f"{threading.get_ident()} {await_(asyncio.sleep(0, 'waited'))}")

    assert invoke(app)["body"] == f"{threading.get_ident()} waited"


def test_generator_answers_in_one_piece() -> None:
    """Lambda's answer is whole, and so is the stream's."""
    assert invoke(answering(lambda: iter(["one", "two"])))["body"] == "onetwo"


def test_body_arrives_without_content_length() -> None:
    """REST events carry none, and the view gets its JSON all the same."""
    app = Flask("bridged")

    @app.post("/my/path")
    async def view() -> Any:
        return [request.get_json(), request.content_length]

    given = sample("rest", httpMethod="POST", body='{"name": "Ada"}')
    given["multiValueHeaders"] |= {"Content-Type": ["application/json"]}

    assert json.loads(invoke(app, given)["body"]) == [{"name": "Ada"}, 15]


def test_body_over_the_limit_is_answered_413(monkeypatch: pytest.MonkeyPatch) -> None:
    """BODY_LIMIT_BYTES holds in Lambda too."""
    monkeypatch.setenv("BODY_LIMIT_BYTES", "10")

    answer = invoke(answering("ok"), sample("rest", body="x" * 11))

    assert (answer["statusCode"], json.loads(answer["body"])["title"]) == (413, "Request Entity Too Large")


def test_event_and_context_are_at_hand() -> None:
    """request.environ has both, for what Flask has no word for."""
    given = sample("rest")

    answer = invoke(
        answering(lambda: request.environ["aws.event"]["resource"] + request.environ["aws.context"].function_name),
        given,
    )

    assert answer["body"] == "/my/pathtest"


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("rest", "caller-1", "caller-1"),
        ("rest", None, "id="),
        ("load_balancer", None, Context().aws_request_id),
        ("rest", "two\nlines", "id="),
        ("rest", "x" * 129, "id="),
    ],
    ids=["the caller's", "the gateway's", "Lambda's", "not the caller's: two lines", "not the caller's: too long"],
)
def test_correlation_id_is_bound_and_answered(name: str, given: str | None, expected: str) -> None:
    """Logs and tasks of the request carry it, and the response returns it."""
    made = sample(name)
    if given is not None:
        made["multiValueHeaders"] |= {"X-Correlation-Id": [given]}

    answer = invoke(answering(lambda: str(observability.correlation_id())), made)

    assert answer["body"] == answer["headers"]["x-correlation-id"] == expected
    assert observability.correlation_id() is None


def test_error_half_way_through_a_stream_is_an_opaque_500(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing has left yet, so the client gets a whole answer."""

    def chunks() -> Iterator[str]:
        yield "half of it"
        raise KeyError("secret")

    answer = invoke(answering(chunks))

    problem = json.loads(answer["body"])
    assert (answer["statusCode"], answer["headers"]["content-type"]) == (500, "application/problem+json")
    assert (problem["instance"], answer["headers"]["x-correlation-id"]) == ("id=", "id=")
    assert "secret" not in answer["body"]
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_error_that_flask_lets_through_is_an_opaque_500(caplog: pytest.LogCaptureFixture) -> None:
    """Also in debug mode, where Flask raises instead of answering."""
    app = answering(lambda: [1 / 0])
    app.debug = True

    answer = invoke(app)

    assert (answer["statusCode"], json.loads(answer["body"])["title"]) == (500, "Internal Server Error")
    assert len(caplog.records) == 1


def test_handler_works_after_somebody_unset_the_loop() -> None:
    """asyncio.run leaves the thread without a current loop; the handler has its own."""
    handler = lambda_handler(answering(lambda: str(id(asyncio.get_running_loop()))))
    first = handler(sample("rest"), Context())["body"]
    asyncio.run(asyncio.sleep(0))

    assert handler(sample("rest"), Context())["body"] == first == str(id(loop.current()))


def test_task_left_behind_is_awaited(caplog: pytest.LogCaptureFixture) -> None:
    """A frozen process runs nothing: it is finished first, with one warning."""
    done: list[str] = []

    async def stray() -> None:
        await asyncio.sleep(0.005)
        done.append("stray")

    def leave() -> str:
        for _ in range(2):
            asyncio.ensure_future(stray()).add_done_callback(lambda _task: None)
        return "ok"

    invoke(answering(leave))

    assert done == ["stray"] * 2
    assert [(record.levelname, len(record.awaited)) for record in caplog.records] == [("WARNING", 2)]  # type: ignore[attr-defined]


def test_task_left_behind_for_long_is_cancelled(caplog: pytest.LogCaptureFixture) -> None:
    """It may not keep the answer back, and it may not run inside the next request."""
    handler_tasks: list[asyncio.Task[Any]] = []

    def leave() -> str:
        handler_tasks.append(asyncio.ensure_future(asyncio.sleep(60)))
        return "ok"

    invoke(answering(leave))

    assert handler_tasks[0].cancelled()
    assert [record.cancelled for record in caplog.records] == [["sleep"]]  # type: ignore[attr-defined]


def test_task_from_the_functions_start_may_stay(caplog: pytest.LogCaptureFixture) -> None:
    """What runs since before the first event is not the request's."""
    running = loop.current()
    resident = running.create_task(asyncio.sleep(60))

    invoke(answering("ok"))

    assert not resident.done()
    assert caplog.records == []
    resident.cancel()
    running.run_until_complete(asyncio.wait([resident]))
