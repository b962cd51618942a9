"""Tasks that a request enqueues are published when its response leaves, also when the request fails."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from decant import db
from decant.asgi import FlaskToAsgi, stream
from decant.tasks import publishing
from tests import work
from tests.bridging import client
from tests.queues import SqsQueue

COUNT = 25


async def enqueue_async() -> str:
    """Enqueue tasks in an async view."""
    for number in range(COUNT):
        await work.add.delay(number)
    return "done"


def enqueue_sync() -> str:
    """Enqueue tasks in a plain view."""
    for number in range(COUNT):
        work.add.delay(number)
    return "done"


async def enqueue_in_transaction() -> str:
    """Enqueue tasks in a transaction of the view."""
    async with db.session() as session:
        for number in range(COUNT):
            await work.add.apply_async((number,), session=session)
    return "done"


async def enqueue_and_fail() -> str:
    """Enqueue tasks, and raise an error that Flask does not handle."""
    await enqueue_async()
    raise LookupError


def enqueue_while_streaming() -> Any:
    """Enqueue tasks while the response is made."""

    async def chunks() -> Any:
        yield "begun"
        await enqueue_async()

    return stream(chunks())


@pytest.mark.usefixtures("database_url")
@pytest.mark.parametrize("view_threads", [0, 4])  # as in Lambda, and under a server
@pytest.mark.parametrize(
    "view", [enqueue_async, enqueue_sync, enqueue_in_transaction, enqueue_and_fail, enqueue_while_streaming]
)
async def test_messages_are_sent_before_the_response_is_complete(
    queue: SqsQueue, view: Callable[[], Any], view_threads: int
) -> None:
    """The client finds all messages on the queue."""
    app = Flask(__name__)
    app.add_url_rule("/", view_func=view)
    application = FlaskToAsgi(app, view_threads=view_threads, correlated=True)
    messages = list[int]()

    async def counting(scope: Any, receive: Any, send: Any) -> None:
        async def counting_send(message: Any) -> None:
            if message["type"] == "http.response.body" and not message.get("more_body"):
                messages.append(queue.waiting()["now"])
            await send(message)

        await application(scope, receive, counting_send)

    async with client(counting) as http:
        await http.get("/")

    assert messages == [COUNT]


@pytest.mark.usefixtures("database_url")
async def test_messages_of_a_block_are_sent_at_its_end(queue: SqsQueue) -> None:
    """A script gets the batches of a request with `publishing()`."""
    async with publishing():
        for number in range(COUNT):
            await work.add.delay(number)

    assert queue.waiting()["now"] == COUNT
