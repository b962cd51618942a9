"""PostgreSQL through SQLAlchemy's asyncio extension.

    async with db.session() as session:                  # a transaction: commit at the end, rollback on an error
        session.add(user)

The connection pool is built at first use, once per runtime and event loop. Warm invocations reuse its connections.
"""

from decant.db.engine import dispose, engine
from decant.db.pool import wait_for_turn
from decant.db.settings import DatabaseSettings
from decant.db.transactions import current_session, execute, execute_last, joined_session, session

__all__ = [
    "DatabaseSettings",
    "current_session",
    "dispose",
    "engine",
    "execute",
    "execute_last",
    "joined_session",
    "session",
    "wait_for_turn",
]
