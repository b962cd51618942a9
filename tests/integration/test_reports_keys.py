"""Deduplication keys that are not short strings deduplicate or are rejected by the call that uses them.

Reports: aws-powertools/powertools-lambda-python 8065, bensheldon/good_job 612.
"""

import secrets
import uuid
from typing import Any

import pytest

from decant.tasks import AsyncResult, Task, task

pytestmark = pytest.mark.usefixtures("world", "new_tasks")

KEYS = [7, uuid.UUID(int=7), ("order", 7)]


def define(**options: Any) -> Task[..., Any]:
    """A task that does nothing, with options."""

    async def charge(order: Any) -> None:
        """Nothing."""

    made: Task[..., Any] = task(name="reports.charge", **options)(charge)
    return made


async def accepted_twice(enqueue: Any) -> tuple[AsyncResult, AsyncResult] | None:
    """The handles of two calls, or None when the first call rejects the key."""
    try:
        first = await enqueue()
    except (TypeError, ValueError) as error:
        assert "key" in str(error)  # noqa: PT017  # rejecting the key is correct too
        return None
    return first, await enqueue()


@pytest.mark.parametrize("key", KEYS, ids=["number", "UUID", "tuple"])
async def test_idempotency_key_of_another_type(key: Any) -> None:
    """The second call returns the first call's task, or the first call raises an error."""
    charge = define()

    jobs = await accepted_twice(lambda: charge.apply_async((7,), idempotency_key=key))

    assert jobs is None or jobs[0] == jobs[1]


@pytest.mark.parametrize("key", KEYS, ids=["number", "UUID", "tuple"])
async def test_unique_key_of_another_type(key: Any) -> None:
    """The second call returns the first call's task, or the first call raises an error."""
    charge = define(unique=lambda order: key)  # noqa: ARG005  # the arguments' names are the task's

    jobs = await accepted_twice(lambda: charge.delay(7))

    assert jobs is None or jobs[0] == jobs[1]


async def test_unique_numbers_in_one_call() -> None:
    """Three numbers are three keys, 0 included."""
    charge = define(unique=lambda order: order)

    try:
        jobs = await charge.delay_many([(0,), (1,), (2,)])
    except (TypeError, ValueError) as error:
        assert "key" in str(error)  # noqa: PT017  # rejecting the keys is correct too
        return

    assert len(set(jobs)) == 3


async def test_long_key() -> None:
    """A key can be longer than an entry of a PostgreSQL index, or is rejected with an error."""
    charge = define(unique=lambda order: order)
    url = "https://example.org/?q=" + secrets.token_hex(4000)

    jobs = await accepted_twice(lambda: charge.delay(url))

    assert jobs is None or jobs[0] == jobs[1]


async def test_nul_in_a_key_is_rejected() -> None:
    """PostgreSQL's text type does not store NUL; the error names the key."""
    charge = define()

    with pytest.raises(ValueError, match="key"):
        await charge.apply_async((7,), idempotency_key="a\x00b")
