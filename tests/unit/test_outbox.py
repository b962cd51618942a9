"""Messages of a request are sent in batches, and never after its end."""

import asyncio
from collections.abc import Sequence

import pytest

from decant.outbox import Outbox


class Sender:
    """Sends batches when it is allowed to."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.open = asyncio.Event()

    async def send(self, messages: Sequence[int]) -> None:
        """Send a batch."""
        self.batches.append(list(messages))
        await self.open.wait()


async def test_messages_are_batched_while_others_are_sent() -> None:
    """The first message is sent at once, and those that follow together."""
    outbox, sender = Outbox(), Sender()
    await outbox.send([1], sender.send)
    await asyncio.sleep(0)
    for number in (2, 3, 4):
        await outbox.send([number], sender.send)
    sender.open.set()

    await outbox.flush()

    assert sender.batches == [[1], [2, 3, 4]]
    assert outbox.is_empty


async def test_closed_outbox_sends_before_it_returns() -> None:
    """A task that outlives its request sends its messages itself."""
    outbox, sender = Outbox(), Sender()
    outbox.close()
    sender.open.set()

    await outbox.send([1], sender.send)

    assert sender.batches == [[1]]


async def test_error_of_a_batch_is_raised_by_flush() -> None:
    """It is not lost."""

    async def fail(_messages: Sequence[int]) -> None:
        await asyncio.sleep(0)
        raise ValueError("no")

    outbox = Outbox()
    await outbox.send([1], fail)

    with pytest.raises(ValueError, match="no"):
        await outbox.flush()

    assert outbox.is_empty


async def test_cancelled_flush_leaves_messages_being_sent() -> None:
    """They are sent although the client has gone."""
    outbox, sender = Outbox(), Sender()
    await outbox.send([1], sender.send)
    flushing = asyncio.ensure_future(outbox.flush())
    await asyncio.sleep(0)
    flushing.cancel()
    await asyncio.wait({flushing})
    sender.open.set()

    await outbox.flush()

    assert sender.batches == [[1]]
