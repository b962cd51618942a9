"""How the pool connects: arguments of each driver, logins with IAM tokens or a secret, and poolers in between."""

import json
import ssl
from collections.abc import Generator
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Dialect, Engine, event
from sqlalchemy.engine import URL
from sqlalchemy.util import await_only

from decant.config import load
from decant.db.settings import Address, DatabaseSettings
from decant.errors import AwsUnavailable, ConfigError, CredentialsUnavailable, DatabaseUnavailable
from decant.observability import LogSettings

__all__ = ["connect_args", "log_in_with_secret", "log_in_with_tokens", "share_server_sessions", "url_of_secret"]

_TOKEN_S = 900
"""Lifetime of an IAM token, seconds; RDS accepts no longer one."""


def connect_args(address: Address, settings: DatabaseSettings, driver: str) -> dict[str, Any]:
    """Arguments of the driver's `connect`, beside those that SQLAlchemy derives from the URL.

    The statement timeout is a start-up parameter of a direct connection. RDS Proxy rejects start-up parameters and has
    a setting of its own. PgBouncer rejects them too; there it is set in each transaction.

    Source: https://github.com/psycopg/psycopg2/issues/1577, PgBouncer's `ignore_startup_parameters`.
    """
    arguments_of, pooled_of = (_psycopg, _psycopg_pooled) if driver == "psycopg" else (_asyncpg, _asyncpg_pooled)
    timeout_ms = int(settings.statement_timeout_s * 1000)
    direct = not (settings.proxy or settings.pooled)
    arguments = arguments_of(address, settings, timeout_ms if direct else None)
    if address.target is not None:
        arguments["target_session_attrs"] = address.target
    return arguments | (pooled_of(timeout_ms) if settings.pooled else {})


def _asyncpg(address: Address, settings: DatabaseSettings, timeout_ms: int | None) -> dict[str, Any]:
    server = {"application_name": address.application_name or _application_name()}
    if address.options is not None:
        server["options"] = address.options
    if timeout_ms is not None:
        server["statement_timeout"] = str(timeout_ms)
    arguments = {
        "timeout": address.connect_timeout_s or settings.connect_timeout_s,
        "server_settings": server,
        "connection_class": _connection_class(""),
    }
    mode = _tls_mode(address, settings)
    if mode is not None:
        encrypts = mode in {"require", "verify-ca", "verify-full"}
        arguments["ssl"] = _tls_context(mode, address, settings) if encrypts else mode
    return arguments


def _tls_context(mode: str, address: Address, settings: DatabaseSettings) -> ssl.SSLContext:
    """As libpq: `require` verifies nothing, unless there is a file of authorities."""
    verifies = mode != "require" or address.ca_file is not None
    context = ssl.create_default_context(cafile=_ca_file(address, settings) if verifies else None)
    context.check_hostname = mode == "verify-full"
    if not verifies:
        context.verify_mode = ssl.CERT_NONE
    return context


def _psycopg(address: Address, settings: DatabaseSettings, timeout_ms: int | None) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "connect_timeout": max(1, round(address.connect_timeout_s or settings.connect_timeout_s)),
        "application_name": address.application_name or _application_name(),
    }
    timeout = "" if timeout_ms is None else f"-c statement_timeout={timeout_ms}"
    if options := f"{address.options or ''} {timeout}".strip():
        arguments["options"] = options
    if address.channel_binding is not None:
        arguments["channel_binding"] = address.channel_binding
    mode = _tls_mode(address, settings)
    if mode is not None:
        arguments["sslmode"] = mode
        if mode.startswith("verify") or address.ca_file is not None:
            arguments["sslrootcert"] = _ca_file(address, settings)
    return arguments


def _application_name() -> str:
    logs = load(LogSettings)
    return logs.function_name or logs.service


def _tls_mode(address: Address, settings: DatabaseSettings) -> str | None:
    return "verify-full" if settings.tls or settings.iam_auth else address.tls_mode


def _ca_file(address: Address, settings: DatabaseSettings) -> str:
    """PEM file of the authorities: Amazon's public roots, among others, sign RDS Proxy's certificate.

    The certificate of a cluster or an instance without a proxy is signed by RDS's own roots, which DATABASE_CA_FILE has
    to name.

    Source: Amazon Aurora User Guide, using TLS/SSL with RDS Proxy, and certificate authorities of a DB cluster.
    """
    given = settings.ca_file or address.ca_file
    if given is not None and given != "system":
        return given
    import certifi  # noqa: PLC0415  # 4 ms that a connection without TLS never pays

    return certifi.where()


def _asyncpg_pooled(timeout_ms: int) -> dict[str, Any]:
    """Without a cache, asyncpg parses an unnamed statement again in the very message that executes it.

    A pooler can give each message to another server, on which no statement was prepared.
    """
    return {
        "statement_cache_size": 0,
        "prepared_statement_cache_size": 0,
        "prepared_statement_name_func": lambda: "",
        "connection_class": _connection_class(f"SET LOCAL statement_timeout = {timeout_ms};"),  # the session is shared
    }


def _connection_class(begin: str) -> type:
    """A connection of asyncpg that can send statements in the message of BEGIN and in that of COMMIT.

    Args:
        begin: What follows each BEGIN.
    """
    import asyncpg  # noqa: PLC0415  # a deployment has one driver

    class Connection(asyncpg.Connection):  # type: ignore[misc]  # asyncpg has no types
        """Sends the statements `first` and `last` of one transaction without round trips of their own.

        Attributes:
            first: Statement to send with the next BEGIN.
            begun: Command tag of the last statement that was sent with BEGIN, such as `SELECT 1` for one row.
            last: Statement to send before the next COMMIT, in its message. If it fails, the transaction is rolled back.
        """

        first = begun = last = ""

        async def execute(self, query: str, *args: Any, timeout: float | None = None) -> Any:  # noqa: ASYNC109  # its signature
            if query.startswith("BEGIN"):
                query, self.first = f"{query}{begin}{self.first}", ""
                self.begun = await super().execute(query, timeout=timeout)
                return self.begun
            if query.startswith("ROLLBACK;"):
                self.last = ""
            if not (query.startswith("COMMIT") and self.last):
                return await super().execute(query, *args, timeout=timeout)
            query, self.last = f"{self.last};{query}", ""
            try:
                return await super().execute(query, timeout=timeout)
            except asyncpg.PostgresError:
                await super().execute("ROLLBACK")
                raise
            except BaseException:
                self.terminate()  # the server rolls back what it has not committed
                raise

    return Connection


def _psycopg_pooled(timeout_ms: int) -> dict[str, Any]:
    """Without a threshold, psycopg prepares nothing: parse, bind and execute are one message."""
    import psycopg  # noqa: PLC0415  # a deployment has one driver

    class PooledConnection(psycopg.AsyncConnection):
        """Sets the statement timeout when a transaction begins: the pooler shares the session."""

        def _start_query(self) -> Generator[Any, Any]:  # there is no public way before the first statement
            begins = not self.autocommit and self.pgconn.transaction_status == psycopg.pq.TransactionStatus.IDLE
            yield from super()._start_query()
            if begins:
                yield from self._exec_command(b"SET LOCAL statement_timeout = %d" % timeout_ms)

    return {"prepare_threshold": None, "async_creator_fn": PooledConnection.connect}


def share_server_sessions(engine: Engine) -> None:
    """Keep asyncpg from changing a setting of the server's session, which a pooler shares between its clients.

    Before asyncpg looks up the details of a type, it turns JIT off and then on again. It does not, if the server has no
    JIT. RDS Proxy reserves the session for the client that changes a setting; PgBouncer gives it to another client.

    Source: https://richyen.com/postgres/2026/03/12/rds_proxy_pinning.html
    """

    @event.listens_for(engine, "connect", insert=True)  # before the dialect's listener, which looks up types
    def without_jit(connection: Any, _record: object) -> None:
        driver = connection.driver_connection
        if hasattr(driver, "_server_caps"):
            driver._server_caps = driver._server_caps._replace(jit=False)  # noqa: SLF001  # there is no public way


def log_in_with_tokens(engine: Engine, region: str) -> None:
    """Let the engine's pool log in with IAM tokens in place of a password.

    The pool signs a token for each connection that it opens. RDS checks it once; the connection outlives the token.

    Source: Amazon Aurora User Guide, IAM database authentication.
    """
    from decant._aws.sigv4 import (  # noqa: PLC0415  # nothing: 3 ms of a cold start
        CredentialScope,
        credentials,  # most functions sign
        presign_url,
    )

    @event.listens_for(engine, "do_connect")
    def with_token(_dialect: object, _record: object, _args: object, given: dict[str, Any]) -> None:
        scope = CredentialScope(service="rds-db", region=region, at=datetime.now(UTC))
        try:
            keys = await_only(credentials())
        except CredentialsUnavailable as error:
            raise DatabaseUnavailable("There are no AWS credentials to log in to the database with.") from error
        host = f"{given['host']}:{given.get('port', 5432)}"
        given["password"] = presign_url(host, {"Action": "connect", "DBUser": given["user"]}, _TOKEN_S, keys, scope)


def log_in_with_secret(engine: Engine, settings: DatabaseSettings, arn: str) -> None:
    """Let the engine's pool connect with a secret: an address, or name and password for the engine's address.

    The secret is read at the first connection, and again when a login with it fails, so that a rotated password is
    noticed without a deployment.
    """
    from decant.secrets import secret  # noqa: PLC0415  # most functions read no secret

    def read(*, fresh: bool) -> str:
        try:
            return await_only(secret(arn, fresh=fresh))
        except AwsUnavailable as error:
            raise DatabaseUnavailable("The secret with the database's address cannot be read.") from error

    @event.listens_for(engine, "do_connect")
    def with_secret(dialect: Dialect, _record: object, args: list[Any], given: dict[str, Any]) -> Any:
        known = read(fresh=False)
        try:
            return dialect.connect(*args, **given | _secret_arguments(dialect, settings, known))
        except ConfigError:
            raise
        except Exception:
            # Each driver has its own error for a wrong password, and psycopg only a message.
            rotated = read(fresh=True)
            if rotated == known:
                raise
            return dialect.connect(*args, **given | _secret_arguments(dialect, settings, rotated))


def _secret_arguments(dialect: Dialect, settings: DatabaseSettings, secret_text: str) -> dict[str, Any]:
    """The driver's arguments that a secret holds: all of an address, or just the name and password.

    Source: AWS Secrets Manager User Guide, JSON structure of database credential secrets.
    """
    if secret_text.lstrip().startswith("{"):
        _args, arguments = dialect.create_connect_args(url_of_secret(secret_text))
        return dict(arguments)
    try:
        address = Address.parse(secret_text)
    except ValueError as error:
        raise ConfigError([f"DATABASE_SECRET_ARN: URL in the secret: {error}"]) from None
    if address.pooled and not settings.pooled:
        raise ConfigError(["DATABASE_POOLER: is not true; the URL in the secret disables prepared statements"])
    _args, arguments = dialect.create_connect_args(address.url)
    return dict(arguments) | connect_args(address, settings, dialect.driver)


def url_of_secret(text: str) -> URL:
    """The address in a secret that RDS has written, which is JSON."""
    fields = json.loads(text)
    return URL.create(
        "postgresql",
        username=fields.get("username"),
        password=fields.get("password"),
        host=fields.get("host"),
        port=int(fields["port"]) if "port" in fields else None,
        database=fields.get("dbname"),
    )
