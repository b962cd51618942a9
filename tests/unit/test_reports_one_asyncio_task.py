"""All asynchronous code of a request runs in one asyncio task, with synchronous and asynchronous views.

Reports: sqlalchemy/sqlalchemy 6583 and 8340, modelcontextprotocol/python-sdk 79.
"""

import asyncio
from typing import Any

import anyio
import pytest
from flask import Flask, g

from decant.asgi import await_
from tests.bridging import get


@pytest.fixture
def app() -> Flask:
    """An app with an asynchronous and a synchronous view."""
    made = Flask("tasks")

    @made.get("/async")
    async def async_view() -> str:
        return "async"

    made.add_url_rule("/sync", "sync", lambda: "sync")
    return made


@pytest.mark.parametrize("path", ["/async", "/sync"])
async def test_hooks_run_in_one_asyncio_task(app: Flask, path: str) -> None:
    """Hooks before and after the view and the teardown see the same current task."""
    tasks: set[object] = set()

    @app.before_request
    async def before() -> None:
        tasks.add(asyncio.current_task())

    @app.after_request
    async def after(response: Any) -> Any:
        tasks.add(asyncio.current_task())
        return response

    @app.teardown_request
    async def teardown(_error: BaseException | None) -> None:
        tasks.add(asyncio.current_task())

    await get(app, path)

    assert len(tasks) == 1


@pytest.mark.parametrize("path", ["/async", "/sync"])
async def test_anyio_task_group_spans_a_request(app: Flask, path: str) -> None:
    """A task group that a hook opens is closed by the teardown, as anyio requires in the same task."""
    errors: list[str] = []

    @app.before_request
    async def enter() -> None:
        g.group = anyio.create_task_group()
        await g.group.__aenter__()

    @app.teardown_request
    async def leave(_error: BaseException | None) -> None:
        try:
            await g.group.__aexit__(None, None, None)
        except RuntimeError as error:
            errors.append(str(error))

    await get(app, path)

    assert errors == []


async def test_object_stored_by_task_is_found_in_the_teardown(app: Flask) -> None:
    """A registry keyed by the current task, such as `async_scoped_session`, is emptied by the teardown."""
    registry: dict[object, str] = {}

    async def open_session() -> None:
        registry[asyncio.current_task()] = "session"

    @app.get("/session")
    def view() -> str:
        await_(open_session())
        return "sync"

    @app.teardown_request
    async def close(_error: BaseException | None) -> None:
        registry.pop(asyncio.current_task(), None)

    await get(app, "/session")

    assert registry == {}
