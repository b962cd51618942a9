"""Tasks in views, under the bridge."""

import asyncio

import pytest
from flask import Flask

from decant.asgi import await_
from decant.testing import memory
from tests import work
from tests.bridging import get


@pytest.mark.parametrize("view_threads", [0, 4])  # as in Lambda, and under a server
async def test_sync_view_waits_for_a_result_without_blocking_the_loop(view_threads: int) -> None:
    """The task that it waits for runs on the same loop meanwhile."""
    app = Flask(__name__)

    @app.get("/")
    def view() -> str:
        job = await_(work.add.delay(1, 2))
        return str(await_(job.get(timeout=60)))

    with memory() as broker:
        answer = asyncio.create_task(get(app, view_threads=view_threads))
        while not broker.store.rows:  # noqa: ASYNC110  # a row in memory sends no event
            await asyncio.sleep(0.001)
        await broker.run()

        assert (await answer).text == "3"
