"""The shared SQLAlchemy engine: built at first use, once per runtime and event loop, and reused by warm invocations."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from decant import runtime
from decant._aws import AwsSettings
from decant.config import load
from decant.db.connect import connect_args, log_in_with_secret, log_in_with_tokens, share_server_sessions
from decant.db.pool import ConnectionPool, check_connections
from decant.db.settings import Address, DatabaseSettings
from decant.db.traces import trace_statements
from decant.errors import ConfigError

__all__ = ["Database", "build_engine", "database", "dispose", "engine"]


@dataclass(frozen=True, slots=True)
class Database:
    """A connection pool, with an engine for each of its two uses.

    Attributes:
        transactions: Engine whose connections run transactions.
        statements: Engine of the same pool whose statements need no BEGIN and COMMIT. Behind a pooler they do, because
            the statement timeout is set in the transaction.
        sessions: Makes sessions on `transactions`.
    """

    transactions: AsyncEngine
    statements: AsyncEngine
    sessions: async_sessionmaker[AsyncSession]

    async def dispose(self) -> None:
        """Close all idle connections."""
        await self.transactions.dispose()


def database() -> Database:
    """The runtime's connection pool for the running event loop.

    Raises:
        ConfigError: as `engine`.
    """
    return runtime.current().client(Database, _build, Database.dispose)


def engine() -> AsyncEngine:
    """The runtime's engine for the running event loop.

    Raises:
        ConfigError: DATABASE_URL and DATABASE_SECRET_ARN are missing, or a setting is bad.
    """
    return database().transactions


runtime.warm_up(engine)


async def dispose() -> None:
    """Close every idle connection; the next use opens new ones."""
    await engine().dispose()


def _build() -> Database:
    settings = load(DatabaseSettings)
    built = build_engine(settings)
    transactions = built.execution_options(isolation_level="READ COMMITTED")
    statements = transactions if settings.pooled else built
    return Database(transactions, statements, async_sessionmaker(transactions, expire_on_commit=False))


def build_engine(settings: DatabaseSettings) -> AsyncEngine:
    """An engine with a pool of its own, whose connections are in autocommit mode.

    Raises:
        ConfigError: the address is missing.
    """
    if settings.address is None and settings.secret_arn is None:
        raise ConfigError(["DATABASE_URL: is not set; this function uses the database"])
    address = settings.address or Address.parse("postgresql://")
    built = create_async_engine(
        address.url,
        poolclass=ConnectionPool,
        pool_size=settings.pool_size,
        max_overflow=0,
        pool_timeout=settings.connect_timeout_s,
        isolation_level="AUTOCOMMIT",  # of idle connections: asyncpg's ping then takes 1 round trip in place of 3
        pool_use_lifo=True,
        hide_parameters=True,  # errors are logged, and parameters may hold secrets
        connect_args=connect_args(address, settings, address.url.get_driver_name()),
    )
    check_connections(built.sync_engine, settings.connect_timeout_s)
    trace_statements(built.sync_engine)
    if settings.iam_auth:
        log_in_with_tokens(built.sync_engine, load(AwsSettings).region)
    elif settings.secret_arn:
        log_in_with_secret(built.sync_engine, settings, settings.secret_arn)
    if settings.proxy or settings.pooled:
        share_server_sessions(built.sync_engine)
    return built
