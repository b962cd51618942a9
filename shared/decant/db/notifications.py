"""Notifications of PostgreSQL, on a connection of their own."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from decant.config import load
from decant.db.engine import build_engine
from decant.db.settings import DatabaseSettings

__all__ = ["listen"]

log = logging.getLogger("decant.db")

_PAUSE_S = 1.0


async def listen(channel: str, received: Callable[[], object]) -> None:
    """Call `received` for each notification on a channel, until cancelled.

    A lost connection is opened again. `received` is called then too, because notifications were missed. Behind a
    pooler, which gives the session to other clients, it returns with a warning: nothing is ever received.

    Args:
        channel: Name of the channel, an identifier of SQL.
        received: Must return at once.
    """
    settings = load(DatabaseSettings)
    if settings.pooled or settings.proxy:
        log.warning("Notifications need a direct connection to PostgreSQL, and DATABASE_URL leads to a pooler: polling")
        return
    while True:
        try:
            async with _direct_connection(settings) as connection:
                await _listen(connection, channel, received)
            log.warning("Connection for notifications lost; polling until it is open again")
        except Exception as error:  # noqa: BLE001  # those of the drivers too
            log.warning("Could not listen for notifications; polling meanwhile", extra={"error": repr(error)})
        await asyncio.sleep(_PAUSE_S)


@asynccontextmanager
async def _direct_connection(settings: DatabaseSettings) -> AsyncIterator[Any]:
    """A connection of the driver, outside of the pool, which would hand it to others."""
    engine = build_engine(settings)
    try:
        connection = await engine.connect()
        try:
            yield (await connection.get_raw_connection()).driver_connection
        finally:
            await connection.invalidate()
            await connection.close()
    finally:
        await engine.dispose()


async def _listen(connection: Any, channel: str, received: Callable[[], object]) -> None:
    """Listen on a driver's connection until it is closed."""
    if hasattr(connection, "notifies"):
        await _listen_psycopg(connection, channel, received)
        return
    closed = asyncio.Event()
    connection.add_termination_listener(lambda _connection: closed.set())
    await connection.add_listener(channel, lambda *_notification: received())
    received()
    await closed.wait()


async def _listen_psycopg(connection: Any, channel: str, received: Callable[[], object]) -> None:
    from psycopg import OperationalError  # noqa: PLC0415  # a deployment has one driver

    try:
        await connection.execute(f"LISTEN {channel}")
        received()
        async for _notification in connection.notifies():
            received()
    except OperationalError:
        return
