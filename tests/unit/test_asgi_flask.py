"""What a Flask app does, it does through the bridge too: views, hooks, handlers, signals and contexts."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from flask import Blueprint, Flask, abort, after_this_request, current_app, g, request, session, url_for
from flask.signals import got_request_exception, request_finished, request_started
from flask.views import MethodView, View

from decant.asgi import await_
from tests.bridging import client, get

pytestmark = pytest.mark.parametrize("view_threads", [0, 4], ids=["on the loop", "sync views in threads"])


@pytest.fixture
def app() -> Flask:
    """An app with a session."""
    made = Flask("bridged")
    made.secret_key = "for tests"
    return made


def sync_and_async(work: Callable[..., Any]) -> list[Any]:
    """The same function twice, once as a coroutine function."""

    async def later(*args: Any, **kwargs: Any) -> Any:
        await asyncio.sleep(0)
        return work(*args, **kwargs)

    return [work, later]


async def test_view_answers_sync_and_async(app: Flask, view_threads: int) -> None:
    """Both kinds of view get their arguments and answer."""
    for name, view in zip(("sync", "async"), sync_and_async(lambda word: f"{word} {request.method}"), strict=True):
        app.add_url_rule(f"/{name}/<word>", name, view)

    answers = [(await get(app, f"/{name}/hi", view_threads=view_threads)).text for name in ("sync", "async")]

    assert answers == ["hi GET", "hi GET"]


async def test_hooks_run_in_flasks_order(app: Flask, view_threads: int) -> None:
    """Hooks of both kinds run before and after the view, the later registered after-hooks first."""
    ran: list[str] = []

    def note(word: str) -> Callable[..., Any]:
        def hook(*given: Any) -> Any:
            ran.append(word)
            return given[0] if word.startswith("after") else "ok" if word == "view" else None

        return hook

    for kind in (0, 1):
        app.before_request(sync_and_async(note(f"before {kind}"))[kind])
        app.after_request(sync_and_async(note(f"after {kind}"))[kind])
        app.teardown_request(sync_and_async(note(f"teardown {kind}"))[kind])
        app.teardown_appcontext(sync_and_async(note(f"appcontext {kind}"))[kind])
    app.add_url_rule("/", "view", sync_and_async(note("view"))[1])

    await get(app, view_threads=view_threads)

    before = ["before 0", "before 1", "view"]
    assert ran == [*before, "after 1", "after 0", "teardown 1", "teardown 0", "appcontext 1", "appcontext 0"]


async def test_before_request_that_answers_keeps_the_view_from_running(app: Flask, view_threads: int) -> None:
    """An async hook's answer is the answer."""
    app.add_url_rule("/", "view", lambda: "from the view")

    @app.before_request
    async def answer() -> str:
        await asyncio.sleep(0)
        return "from the hook"

    assert (await get(app, view_threads=view_threads)).text == "from the hook"


async def test_after_this_request_changes_the_answer(app: Flask, view_threads: int) -> None:
    """A function left by an async view gets the response."""

    @app.get("/")
    async def view() -> str:
        @after_this_request
        async def stamp(response: Any) -> Any:
            await asyncio.sleep(0)
            response.headers["Stamped"] = "yes"
            return response

        return "ok"

    assert (await get(app, view_threads=view_threads)).headers["stamped"] == "yes"


async def test_g_set_in_the_view_is_seen_by_hooks(app: Flask, view_threads: int) -> None:
    """The view and the hooks share one g, also when the view ran in a thread."""
    seen: list[object] = []
    app.teardown_request(lambda _error: seen.append(g.mark))

    @app.get("/sync")
    def sync_view() -> str:
        g.mark = "sync"
        return "ok"

    @app.get("/async")
    async def async_view() -> str:
        await asyncio.sleep(0)
        g.mark = "async"
        return "ok"

    for path in ("/sync", "/async"):
        await get(app, path, view_threads=view_threads)

    assert seen == ["sync", "async"]


async def test_error_handlers_answer_sync_and_async(app: Flask, view_threads: int) -> None:
    """A handler of either kind answers for the error of a view of either kind."""
    for index, (error, handler) in enumerate(zip((KeyError, ValueError), sync_and_async(repr), strict=True)):
        app.register_error_handler(error, handler)

        @app.get(f"/{index}", endpoint=f"view {index}")
        async def view(error: type[Exception] = error) -> str:
            await asyncio.sleep(0)
            raise error("what")

    answers = [(await get(app, path, view_threads=view_threads)).text for path in ("/0", "/1")]

    assert answers == ["KeyError('what')", "ValueError('what')"]


async def test_error_handler_raises_again_with_a_bare_raise(app: Flask, view_threads: int) -> None:
    """In an async handler the error is the one being handled, before and after an await."""

    @app.errorhandler(KeyError)
    async def handle(_error: KeyError) -> str:
        await asyncio.sleep(0)
        try:
            raise  # noqa: PLE0704  # that there is an error to raise is what is tested
        except KeyError as again:
            return f"again {again!r}"

    @app.get("/")
    async def view() -> str:
        raise KeyError("what")

    assert (await get(app, view_threads=view_threads)).text == "again KeyError('what')"


async def test_abort_answers_its_status(app: Flask, view_threads: int) -> None:
    """abort() deep in what an async view awaits is the answer."""

    async def deep() -> None:
        await asyncio.sleep(0)
        abort(418)

    @app.get("/")
    async def view() -> str:
        await deep()
        return "never"

    assert (await get(app, view_threads=view_threads)).status_code == 418


async def test_signals_reach_their_receivers(app: Flask, view_threads: int) -> None:
    """Receivers of either kind are called at the start, the end and the error of a request."""
    heard: list[str] = []

    async def on_start(_sender: Flask, **_extra: Any) -> None:
        await asyncio.sleep(0)
        heard.append("started")

    def on_error(_sender: Flask, exception: Exception, **_extra: Any) -> None:
        heard.append(repr(exception))

    def on_finish(_sender: Flask, response: Any, **_extra: Any) -> None:
        heard.append(response.status)

    app.add_url_rule("/", "view", lambda: [1 / 0])
    with (
        request_started.connected_to(on_start, app),
        got_request_exception.connected_to(on_error, app),
        request_finished.connected_to(on_finish, app),
    ):
        await get(app, view_threads=view_threads)

    assert heard == ["started", "ZeroDivisionError('division by zero')", "500 INTERNAL SERVER ERROR"]


async def test_session_lasts_over_requests_and_cookies_stay_apart(app: Flask, view_threads: int) -> None:
    """The session's cookie comes back, beside a second Set-Cookie."""

    @app.get("/")
    async def view() -> Any:
        session["count"] = session.get("count", 0) + 1
        await asyncio.sleep(0)
        response = current_app.make_response(str(session["count"]))
        response.set_cookie("flavour", "oat")
        return response

    async with client(app, view_threads=view_threads) as http:
        answers = [await http.get("/") for _ in range(3)]

    assert [answer.text for answer in answers] == ["1", "2", "3"]
    assert len(answers[-1].headers.get_list("set-cookie")) == 2


async def test_nested_blueprints_build_their_urls(app: Flask, view_threads: int) -> None:
    """Endpoints of a blueprint in a blueprint are found and built."""
    outer, inner = Blueprint("outer", __name__, url_prefix="/outer"), Blueprint("inner", __name__, url_prefix="/inner")

    @inner.get("/<int:number>")
    async def view(number: int) -> str:
        await asyncio.sleep(0)
        return url_for(".view", number=number + 1) + " " + url_for(".view", number=1, _external=True)

    outer.register_blueprint(inner)
    app.register_blueprint(outer)

    answer = await get(app, "/outer/inner/1", view_threads=view_threads)

    assert answer.text == "/outer/inner/2 http://testserver/outer/inner/1"


async def test_class_based_views_answer_sync_and_async(app: Flask, view_threads: int) -> None:
    """MethodView and View work with methods of either kind, in one class too."""

    class Mixed(MethodView):
        async def get(self) -> str:
            await asyncio.sleep(0)
            return "async get"

        def post(self) -> str:
            return "sync post"

    class Plain(View):
        async def dispatch_request(self) -> str:  # type: ignore[override]  # Flask's types declare sync ones alone
            await asyncio.sleep(0)
            return "async dispatch"

    app.add_url_rule("/mixed", view_func=Mixed.as_view("mixed"))
    app.add_url_rule("/plain", view_func=Plain.as_view("plain"))

    async with client(app, view_threads=view_threads) as http:
        answers = [await http.get("/mixed"), await http.post("/mixed"), await http.get("/plain")]

    assert [answer.text for answer in answers] == ["async get", "sync post", "async dispatch"]


async def test_sync_view_awaits_without_blocking(app: Flask, view_threads: int) -> None:
    """await_() in a sync view waits on the loop while the loop goes on."""
    ticked = asyncio.Event()
    asyncio.get_running_loop().call_later(0.01, ticked.set)

    async def wait() -> str:
        await ticked.wait()
        return request.path

    app.add_url_rule("/here", "view", lambda: await_(wait()))

    assert (await get(app, "/here", view_threads=view_threads)).text == "/here"
