"""Flask's contexts where asyncio takes the code: tasks, timeouts, threads, and many requests at a time."""

import asyncio
from typing import Any

import pytest
from flask import Flask, current_app, g, has_request_context, request, session

from decant.asgi import await_
from tests.bridging import client, get


async def test_gather_and_tasks_see_the_request() -> None:
    """The request and g are the view's own in gather and create_task, and what they set on g is seen."""
    app = Flask("bridged")

    async def child(name: str) -> str:
        await asyncio.sleep(0)
        setattr(g, name, True)
        return f"{name} {request.path}"

    @app.get("/parent")
    async def view() -> dict[str, Any]:
        made = asyncio.create_task(child("task"))
        answers = [*await asyncio.gather(child("one"), child("two")), await made]
        return {"answers": answers, "marks": sorted(g)}

    answer = (await get(app, "/parent")).json()

    assert answer == {"answers": ["one /parent", "two /parent", "task /parent"], "marks": ["one", "task", "two"]}


async def test_timeout_stops_what_it_is_around() -> None:
    """asyncio.timeout in a view cancels the wait, not the request."""
    app = Flask("bridged")

    @app.get("/")
    async def view() -> str:
        try:
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        except TimeoutError:
            return f"late at {request.path}"
        return "never"

    assert (await get(app)).text == "late at /"


async def test_task_group_raises_its_group_in_the_view() -> None:
    """The errors of a TaskGroup arrive in the view as one group."""
    app = Flask("bridged")

    async def fail() -> None:
        raise KeyError(request.path)

    @app.get("/grouped")
    async def view() -> str:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(fail())
        except ExceptionGroup as errors:
            return repr(errors.exceptions)
        return "never"

    assert (await get(app, "/grouped")).text == "(KeyError('/grouped'),)"


async def test_to_thread_sees_the_request() -> None:
    """asyncio.to_thread takes the contexts along."""
    app = Flask("bridged")

    @app.get("/threaded")
    async def view() -> str:
        return await asyncio.to_thread(lambda: f"{request.path} {current_app.name}")

    assert (await get(app, "/threaded")).text == "/threaded bridged"


async def test_await_from_sync_code_that_an_async_view_calls() -> None:
    """Synchronous code in the middle of an async view may await as well."""
    app = Flask("bridged")

    def in_between() -> str:
        return await_(asyncio.sleep(0, request.path))

    @app.get("/nested")
    async def view() -> str:
        await asyncio.sleep(0)
        return in_between()

    assert (await get(app, "/nested")).text == "/nested"


@pytest.mark.parametrize("view_threads", [0, 4], ids=["on the loop", "sync views in threads"])
async def test_concurrent_requests_do_not_mix(view_threads: int) -> None:
    """Fifty requests at once keep their request, g and session to themselves."""
    app = Flask("bridged")
    app.secret_key = "for tests"

    @app.before_request
    def mark() -> None:
        g.number = request.args["number"]

    async def parts() -> list[str]:
        await asyncio.sleep(0.001 * (int(g.number) % 7))
        return [request.args["number"], g.number, session["number"]]

    @app.post("/async")
    async def asynchronous() -> list[list[str]]:
        session["number"] = g.number
        return list(await asyncio.gather(parts(), parts()))

    @app.post("/sync")
    def synchronous() -> list[list[str]]:
        session["number"] = g.number
        return [await_(parts()), await_(parts())]

    async def ask(number: int) -> bool:
        async with client(app, view_threads=view_threads) as http:
            answer = await http.post("/sync" if number % 2 else "/async", params={"number": number})
            expected = [[str(number)] * 3] * 2
            return bool(answer.json() == expected)

    assert all(await asyncio.gather(*map(ask, range(50))))


async def test_two_apps_in_one_process_do_not_mix() -> None:
    """Each of two apps answers as itself, also when one asks the other in the middle of a request."""
    inner, outer = Flask("inner"), Flask("outer")

    @inner.get("/")
    async def inner_view() -> str:
        await asyncio.sleep(0)
        return current_app.name

    @outer.get("/")
    async def outer_view() -> str:
        answer = (await get(inner)).text
        return f"{answer} {current_app.name}"

    answers = await asyncio.gather(*(get(app) for app in (outer, inner) * 5))

    assert [answer.text for answer in answers] == ["inner outer", "inner"] * 5


async def test_context_is_gone_after_the_request() -> None:
    """Nothing of the request is left on the loop."""
    app = Flask("bridged")
    app.add_url_rule("/", "view", lambda: "ok")

    await get(app)

    assert not has_request_context()


def test_app_still_works_without_the_bridge() -> None:
    """Flask's test client, which is a plain WSGI server, runs the app's async views by Flask's own means."""
    app = Flask("bridged")
    client(app)

    @app.get("/")
    async def view() -> str:
        await asyncio.sleep(0)
        return request.path

    assert app.test_client().get("/").text == "/"


async def test_await_in_a_coroutine_says_to_use_await() -> None:
    """In a task of the view's own, await is the word."""
    app = Flask("bridged")

    async def child() -> None:
        await_(asyncio.sleep(0))

    @app.get("/")
    async def view() -> str:
        with pytest.raises(RuntimeError, match="use `await` in a coroutine"):
            await asyncio.create_task(child())
        return "read"

    assert (await get(app)).text == "read"
