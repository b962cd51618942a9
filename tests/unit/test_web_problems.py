"""Errors as problem documents: every kind, each logged once or not at all, none leaking."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Blueprint, Flask, abort
from werkzeug.exceptions import HTTPException, NotFound, TooManyRequests

from decant import errors, observability
from decant.runtime import Runtime
from decant.web.defaults import add_defaults

CORRELATION_ID = "0b0e"


@pytest.fixture
def app() -> Iterator[Flask]:
    """An app whose errors answer as problems, in a request's correlation."""
    made = Flask("problems")
    made.config["PROPAGATE_EXCEPTIONS"] = False
    with observability.correlate(CORRELATION_ID):
        yield made


def answered(app: Flask, error: BaseException | type[BaseException]) -> Any:
    """What the app answers to an error in a view."""
    add_defaults(app)

    @app.get("/")
    def view() -> str:
        raise error

    return app.test_client().get("/")


ALL = [
    (errors.MalformedBody("Broken."), 400),
    (errors.InvalidToken("Expired."), 401),
    (errors.NotFound("No such user."), 404),
    (errors.TaskNotFound("7"), 404),
    (errors.Conflict("Taken."), 409),
    (errors.InvalidInput({"age": "too small"}), 422),
    (errors.UpstreamError("Down."), 502),
    (errors.UpstreamTimeout("Slow."), 504),
    (errors.WaitTimeout("Later."), 504),
    (errors.ServiceUnavailable("Later."), 503),
    (errors.AwsUnavailable("AccessDenied"), 503),
    (errors.CredentialsUnavailable("none"), 503),
    (errors.DatabaseUnavailable("Later."), 503),
    (errors.PoolExhausted("Later."), 503),
]


@pytest.mark.parametrize(("error", "status"), ALL, ids=[type(error).__name__ for error, _ in ALL])
def test_error_of_ours_answers_its_status_title_and_detail(app: Flask, error: errors.DecantError, status: int) -> None:
    """The document has the title of the class and its message."""
    answer = answered(app, error)

    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
    members = {key: answer.json[key] for key in ("type", "title", "status", "detail", "instance")}
    assert members == {
        "type": "about:blank",
        "title": error.title,
        "status": status,
        "detail": str(error),
        "instance": CORRELATION_ID,
    }


def test_every_error_of_ours_is_tested_here() -> None:
    """A new error class gets its row above, or is one whose message stays inside."""

    def descendants(of: type[errors.DecantError]) -> set[type[errors.DecantError]]:
        return {of}.union(*map(descendants, of.__subclasses__()))

    own = {each for each in descendants(errors.DecantError) if each.__module__ == "decant.errors"}

    inside = {each for each in own if each.status == 500}
    assert own - inside == {type(error) for error, _ in ALL}


def test_invalid_input_lists_its_fields(app: Flask) -> None:
    """One entry a field."""
    answer = answered(app, errors.InvalidInput({"age": "too small", "address.city": "missing"}))

    assert answer.json["errors"] == [
        {"field": "age", "detail": "too small"},
        {"field": "address.city", "detail": "missing"},
    ]


def test_service_unavailable_says_when_to_retry(app: Flask) -> None:
    """In seconds."""
    assert answered(app, errors.ServiceUnavailable("Later.", retry_after_s=7)).headers["Retry-After"] == "7"


def test_error_of_configuration_stays_inside(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    """Its message names settings: the log gets it, the client does not."""
    answer = answered(app, errors.ConfigError(["DATABASE_URL: is not set"]))

    assert (answer.status_code, answer.json["instance"]) == (500, CORRELATION_ID)
    assert "DATABASE_URL" not in answer.text
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [errors.ConfigError]


def test_unknown_error_is_opaque_and_logged_once(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    """The traceback is in the log, under the id that the client is given."""
    answer = answered(app, KeyError("secret"))

    assert (answer.status_code, answer.mimetype) == (500, "application/problem+json")
    assert (answer.json["title"], answer.json["instance"]) == ("Internal Server Error", CORRELATION_ID)
    assert "secret" not in answer.text
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [KeyError]


@pytest.mark.parametrize(("stage", "has_traceback"), [("local", True), ("dev", False)])
def test_unknown_error_has_a_traceback_in_the_stage_local(app: Flask, stage: str, *, has_traceback: bool) -> None:
    """The developer sees the error in the response; other stages show nothing of it."""
    with Runtime({"STAGE": stage}).active():
        answer = answered(app, KeyError("secret"))

    assert answer.status_code == 500
    assert ("secret" in "".join(answer.json.get("traceback", []))) is has_traceback


@pytest.mark.parametrize("error", [errors.NotFound("No."), NotFound()], ids=["decant", "Werkzeug's"])
def test_error_of_the_client_is_not_logged(app: Flask, caplog: pytest.LogCaptureFixture, error: Exception) -> None:
    """A 404 is logged as no error."""
    answered(app, error)

    assert caplog.records == []


def test_error_of_an_upstream_is_a_warning(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    """Worth a line, not a traceback."""
    answered(app, errors.UpstreamError("Down."))

    assert [(record.levelno, record.exc_info) for record in caplog.records] == [(logging.WARNING, None)]


def test_http_error_keeps_its_headers(app: Flask) -> None:
    """Allow of a 405, Retry-After of a 429."""
    refused = answered(app, TooManyRequests(retry_after=30))
    not_allowed = app.test_client().post("/")

    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "30")
    assert set(not_allowed.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}
    assert not_allowed.json is not None
    assert not_allowed.json["title"] == "Method Not Allowed"


def test_abort_with_a_response_answers_it(app: Flask) -> None:
    """Who hands abort a whole response means that response."""
    add_defaults(app)
    app.add_url_rule("/teapot", "teapot", lambda: abort(app.make_response(("short and stout", 418))))

    answer = app.test_client().get("/teapot")

    assert (answer.status_code, answer.text) == (418, "short and stout")


def test_redirect_of_the_router_is_none_of_ours(app: Flask) -> None:
    """A missing slash still redirects."""
    add_defaults(app)
    app.add_url_rule("/folder/", "folder", lambda: "ok")

    assert app.test_client().get("/folder").status_code == 308


OWN = [404, NotFound, HTTPException, Exception]


@pytest.mark.parametrize("kind", OWN, ids=[str(getattr(kind, "__name__", kind)) for kind in OWN])
def test_error_handler_of_the_app_wins(app: Flask, kind: Any) -> None:
    """However wide it is."""
    app.register_error_handler(kind, lambda error: (f"<h1>{error.code}</h1>", error.code))
    add_defaults(app)

    answer = app.test_client().get("/nowhere")

    assert (answer.status_code, answer.text) == (404, "<h1>404</h1>")


def test_error_handler_of_a_blueprint_wins(app: Flask) -> None:
    """Inside its blueprint."""
    pages = Blueprint("pages", __name__)
    pages.register_error_handler(errors.NotFound, lambda _error: ("<h1>gone</h1>", 404))

    @pages.get("/page")
    def view() -> str:
        raise errors.NotFound("No such page.")

    app.register_blueprint(pages)

    add_defaults(app)

    assert app.test_client().get("/page").text == "<h1>gone</h1>"


def test_error_in_an_error_handler_is_an_opaque_500(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    """Logged once, with the error that it was to handle as its context."""

    @app.errorhandler(KeyError)
    def handle(_error: KeyError) -> str:
        raise ValueError("handler's secret")

    answer = answered(app, KeyError("view's secret"))

    assert (answer.status_code, "secret" in answer.text) == (500, False)
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [ValueError]


@pytest.mark.parametrize(("hook", "runs"), [("before_request", 1), ("after_request", 2)])
def test_error_in_a_hook_is_an_opaque_500(app: Flask, caplog: pytest.LogCaptureFixture, hook: str, runs: int) -> None:
    """Logged each time it is raised: Flask runs `after_request` again, on the 500."""

    def fail(*_given: Any) -> Any:
        raise KeyError("secret")

    getattr(app, hook)(fail)
    app.add_url_rule("/hooked", "hooked", lambda: "ok")
    add_defaults(app)

    answer = app.test_client().get("/hooked")

    assert (answer.status_code, "secret" in answer.text) == (500, False)
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [KeyError] * runs
