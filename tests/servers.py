"""Servers of asyncio in tests."""

import asyncio

__all__ = ["close"]

_TURNS = 5


async def close(server: asyncio.Server) -> None:
    """Stop accepting connections, and close those that are open or were just accepted.

    A server that is closed cannot take a connection which its loop has accepted in the same turn; the transport of that
    connection would be left open. Therefore it stops accepting first, and is closed when all have their transports.
    """
    loop = asyncio.get_running_loop()
    for listening in server.sockets:
        loop.remove_reader(listening.fileno())
    await _turns()
    server.close()
    server.abort_clients()
    await _turns()


async def _turns() -> None:
    """Let the event loop run what is scheduled, and what that schedules."""
    for _ in range(_TURNS):
        await asyncio.sleep(0)
