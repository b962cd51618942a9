"""What each driver is told when it connects."""

import ssl
from typing import Any

from sqlalchemy import Engine, event

from decant.config import load
from decant.db.settings import DatabaseSettings
from decant.observability import LogSettings

__all__ = ["avoid_pinning", "connect_args"]


def connect_args(driver: str, settings: DatabaseSettings) -> dict[str, Any]:
    """Arguments of the driver's `connect`.

    Args:
        driver: `asyncpg` or `psycopg`.
        settings: Settings of the database.
    """
    return _psycopg(settings) if driver == "psycopg" else _asyncpg(settings)


def _asyncpg(settings: DatabaseSettings) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "timeout": settings.connect_timeout_s,
        "server_settings": {"application_name": _name()},
    }
    if not settings.proxy:
        arguments["server_settings"]["statement_timeout"] = _statement_timeout_ms(settings)
    if _insists_on_tls(settings):
        arguments["ssl"] = ssl.create_default_context(cafile=_ca_file(settings))
    return arguments


def _psycopg(settings: DatabaseSettings) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "connect_timeout": max(1, round(settings.connect_timeout_s)),
        "application_name": _name(),
    }
    if not settings.proxy:
        arguments["options"] = f"-c statement_timeout={_statement_timeout_ms(settings)}"
    if _insists_on_tls(settings):
        arguments |= {"sslmode": "verify-full", "sslrootcert": _ca_file(settings)}
    return arguments


def avoid_pinning(engine: Engine) -> None:
    """Keep asyncpg from changing a session's settings, for which RDS Proxy would tie up a connection for good.

    Before it asks for the details of a type, asyncpg turns JIT off and then on again; told that the server has none, it
    leaves it alone.

    Source: https://richyen.com/postgres/2026/03/12/rds_proxy_pinning.html
    """

    @event.listens_for(engine, "connect", insert=True)  # before the dialect's own, which asks for types
    def without_jit(connection: Any, _record: object) -> None:
        driver = connection.driver_connection
        if hasattr(driver, "_server_caps"):
            driver._server_caps = driver._server_caps._replace(jit=False)  # noqa: SLF001  # there is no public way


def _name() -> str:
    logs = load(LogSettings)
    return logs.function_name or logs.service


def _statement_timeout_ms(settings: DatabaseSettings) -> str:
    """RDS Proxy refuses it, as it does any option at the start, and sets its own.

    Source: https://github.com/psycopg/psycopg2/issues/1577
    """
    return str(int(settings.statement_timeout_s * 1000))


def _insists_on_tls(settings: DatabaseSettings) -> bool:
    return settings.tls or settings.iam_auth


def _ca_file(settings: DatabaseSettings) -> str:
    """Who may vouch for the server: Amazon's public roots, among others, vouch for RDS Proxy.

    A cluster or an instance without a proxy has a certificate of RDS's own roots, which DATABASE_CA_FILE has to name.

    Source: Amazon Aurora User Guide, using TLS/SSL with RDS Proxy, and certificate authorities of a DB cluster.
    """
    import certifi  # noqa: PLC0415  # 4 ms that a connection without TLS never pays

    return settings.ca_file or certifi.where()
