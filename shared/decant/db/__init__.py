"""The shared SQLAlchemy engine: built at first use, once per process, on the process's one loop.

Warm invocations reuse its connections. PostgreSQL that is away, or hangs up, surfaces as `DatabaseUnavailable`; the
pool checks a connection before use, so the next request works when it is back.
"""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from sqlalchemy import Executable, RowMapping
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.util import greenlet_spawn

from decant import loop, snapstart
from decant.config import Settings, settings
from decant.db import liveness
from decant.db.drivers import avoid_pinning, connect_args
from decant.errors import ConfigError, DatabaseUnavailable

__all__ = ["dispose", "engine", "execute", "session"]

_engine: AsyncEngine | None = None
_statements: AsyncEngine | None = None  # the same pool, each statement a transaction of its own
_sessions = async_sessionmaker(expire_on_commit=False)


def engine() -> AsyncEngine:
    """The process's engine.

    Raises:
        ConfigError: DATABASE_URL and DATABASE_SECRET_ARN are missing, or a setting is bad.
    """
    global _engine, _statements  # noqa: PLW0603  # one engine per process is what this module is for
    if _engine is None:
        _statements = _build(settings())
        _engine = _statements.execution_options(isolation_level="READ COMMITTED")
        _sessions.configure(bind=_engine)
        loop.on_close(dispose)
    return _engine


snapstart.prepare(engine)


@asynccontextmanager
async def session() -> AsyncIterator[AsyncSession]:
    """A session in a transaction of its own: committed when the block ends well, rolled back when it raises.

    Raises:
        DatabaseUnavailable: PostgreSQL cannot be reached or hung up; nothing was kept, unless it hung up during the
            commit itself. Retrying helps once it is back.
    """
    engine()
    with _translated():
        async with _sessions.begin() as opened:
            with _connecting():
                await opened.connection()
            yield opened


async def execute(statement: Executable, given: Mapping[str, Any]) -> Sequence[RowMapping]:
    """Run one statement as a transaction of its own, with no BEGIN and COMMIT to wait for.

    Returns:
        Its rows; none for a statement that returns none.
    Raises:
        DatabaseUnavailable: PostgreSQL cannot be reached or hung up; whether the statement was kept is not known.
            Retrying helps once it is back.
    """
    engine()
    assert _statements is not None  # noqa: S101  # engine() has just set it
    connecting = _statements.sync_engine

    def run() -> Sequence[RowMapping]:
        with _connecting():
            connection = connecting.connect()
        with connection:
            result = connection.execute(statement, given)
            return result.mappings().all() if result.returns_rows else ()

    with _translated():
        return await greenlet_spawn(run)  # one switch for the three that AsyncConnection would make


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        if error.connection_invalidated or _sqlstate(error).startswith(_AWAY):
            raise DatabaseUnavailable("The database cannot be reached.") from error
        raise


@contextmanager
def _connecting() -> Iterator[None]:
    """Take the connection at once, so that a socket's error here is known to be the database's."""
    try:
        yield
    except (OSError, PoolTimeoutError, OperationalError, InterfaceError) as error:
        raise DatabaseUnavailable("The database cannot be reached.") from error


async def dispose() -> None:
    """Close every connection; the next use builds the engine anew."""
    global _engine, _statements  # likewise
    disposed, _engine, _statements = _engine, None, None
    if disposed is not None:
        await disposed.dispose()


_AWAY = ("08", "28", "53", "57P")
"""SQLSTATE classes: connection exception, refused login, insufficient resources, shutdown or crash.

Source: PostgreSQL, appendix A, error codes.
"""


def _sqlstate(error: DBAPIError) -> str:
    return getattr(error.orig, "sqlstate", None) or ""


def _build(ours: Settings) -> AsyncEngine:
    if ours.database_url is None and ours.database_secret_arn is None:
        raise ConfigError(["DATABASE_URL: is not set; this function uses the database"])
    url = make_url(ours.database_url or "postgresql+asyncpg://")
    built = create_async_engine(
        url,
        pool_size=ours.database_pool_size,
        max_overflow=0,
        pool_timeout=ours.database_connect_timeout_s,
        isolation_level="AUTOCOMMIT",  # of idle connections: asyncpg's ping is then one round trip, and not three
        pool_use_lifo=True,
        hide_parameters=True,  # errors are logged, and parameters may hold secrets
        connect_args=connect_args(url.get_driver_name(), ours),
    )
    liveness.install(built.sync_engine)
    if ours.database_iam_auth:
        from decant.db import iam_login  # noqa: PLC0415  # signs; most local functions never do

        iam_login.install(built.sync_engine, ours.region)
    elif ours.database_secret_arn:
        from decant.db import secret_login  # noqa: PLC0415  # speaks to Secrets Manager; likewise

        secret_login.install(built.sync_engine, ours.database_secret_arn)
    if ours.database_proxy:
        avoid_pinning(built.sync_engine)
    return built
