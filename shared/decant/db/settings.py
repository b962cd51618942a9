"""Settings of the database; its address is the URL of DATABASE_URL or of a secret, as providers print it.

URL parameters have libpq's names and meaning with every driver. Some names of other clients are understood too.
Any other parameter is an error, because a driver that ignores it would connect in another way than the URL requests.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Self

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from decant.config import count, flag, seconds, setting, settings_group, text

__all__ = ["Address", "DatabaseSettings", "TlsMode"]

type TlsMode = Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Address:
    """A parsed address.

    Attributes:
        url: Driver, host, port, database, user and password; its text hides the password.
        tls_mode: `sslmode`: whether TLS is used and what is verified.
        ca_file: `sslrootcert`: PEM file of the authorities for the server's certificate, or `system`.
        channel_binding: `channel_binding`: whether the login is bound to the TLS connection.
        options: `options`: command-line options of the server's session, such as `-c search_path=app`.
        application_name: `application_name`, as `pg_stat_activity` shows it.
        connect_timeout_s: `connect_timeout`: longest wait for a connection, seconds.
        target: `target_session_attrs`: kind of server to select from several hosts.
        pooled: The URL requests a connection without prepared statements.

    Source: PostgreSQL, section 34.1.2, parameter key words.
    """

    url: URL
    tls_mode: TlsMode | None = None
    ca_file: str | None = None
    channel_binding: str | None = None
    options: str | None = None
    application_name: str | None = None
    connect_timeout_s: float | None = None
    target: str | None = None
    pooled: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a URL.

        Raises:
            ValueError: it is not a URL of PostgreSQL, or has a parameter that is not supported. The message repeats
                the parameters' names, and nothing that could be a password.
        """
        try:
            url = make_url(text)
        except (ArgumentError, ValueError):
            raise ValueError("is not a URL; characters such as @ and / in a password must be percent-encoded") from None
        driver = _DRIVERS.get(url.drivername)
        if driver is None:
            raise ValueError("must start with postgresql://, postgresql+asyncpg:// or postgresql+psycopg://")
        problems: list[str] = []
        fields: dict[str, Any] = {}
        for name, value in url.query.items():
            if name in _HOSTS:
                continue
            try:
                fields |= _field(name, value if isinstance(value, str) else value[-1], driver)
            except ValueError as error:
                problems.append(f"parameter {name} {error}")
        if fields.get("ca_file") == _SYSTEM and fields.setdefault("tls_mode", "verify-full") != "verify-full":
            problems.append(f"parameter sslrootcert=system needs sslmode=verify-full, not {fields['tls_mode']}")
        if problems:
            raise ValueError("; ".join(problems))
        hosts = {name: url.query[name] for name in _HOSTS if name in url.query}
        return cls(url=url.set(drivername=driver, query=hosts), **fields)


def _role_name(value: str) -> str:
    """A role of PostgreSQL, whose name needs no quotes."""
    if not (value.isascii() and value.isidentifier() and value == value.lower()):
        raise ValueError(f"must be small letters, digits and _, not {value!r}")
    return value


@settings_group
class DatabaseSettings:
    """Settings of the database."""

    address: Address | None = setting(
        "DATABASE_URL",
        Address.parse,
        "Address of PostgreSQL, `postgresql://…`, or with the driver, `postgresql+psycopg://…`",
        default=None,
    )
    secret_arn: str | None = setting(
        "DATABASE_SECRET_ARN",
        text,
        "Secret in AWS Secrets Manager that holds the address, as URL or RDS's JSON; overrides `DATABASE_URL`",
        default=None,
    )
    iam_auth: bool = setting(
        "DATABASE_IAM_AUTH",
        flag,
        "Log in with IAM tokens in place of a password; requires TLS",
        default=False,
    )
    tls: bool = setting("DATABASE_TLS", flag, "Require TLS with a verified certificate", default=False)
    ca_file: str | None = setting(
        "DATABASE_CA_FILE",
        text,
        "PEM file of the authorities for PostgreSQL's certificate; public authorities by default",
        default=None,
    )
    proxy: bool = setting(
        "DATABASE_PROXY",
        flag,
        "Connect through RDS Proxy, which sets the statement timeout itself",
        default=False,
    )
    pooler: bool = setting(
        "DATABASE_POOLER",
        flag,
        "Connect through a pooler in transaction mode, such as PgBouncer: no prepared statements",
        default=False,
    )
    app_role: str | None = setting(
        "DATABASE_APP_ROLE",
        _role_name,
        "Role that the functions log in with; `migrate` creates it and grants it access",
        default=None,
    )
    pool_size: int = setting(
        "DATABASE_POOL_SIZE", count, "Maximum number of connections of one execution environment", default=5
    )
    connect_timeout_s: float = setting(
        "DATABASE_CONNECT_TIMEOUT_S", seconds, "Longest wait for a connection, seconds", default=5.0
    )
    statement_timeout_s: float = setting(
        "DATABASE_STATEMENT_TIMEOUT_S", seconds, "Longest run of one statement, seconds", default=20.0
    )

    @property
    def pooled(self) -> bool:
        """Whether a pooler in transaction mode is expected, by `pooler` or a parameter of the URL."""
        return self.pooler or (self.address is not None and self.address.pooled)


_DRIVERS = {
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
    "postgresql+psycopg": "postgresql+psycopg",
}

_SYSTEM = "system"
"""The public authorities. As in libpq, nothing but verify-full goes with them: everybody can get their certificates."""

_HOSTS = ("host", "port")
"""Parameters that SQLAlchemy translates for both drivers."""


def _field(name: str, value: str, driver: str) -> dict[str, Any]:
    if name in _POOLED:
        return {"pooled": True} if _POOLED[name](value) else {}
    if name not in _FIELDS:
        raise ValueError(f"is not supported; {_INSTEAD.get(name, 'remove it')}")
    field, parse = _FIELDS[name]
    if field == "channel_binding" and value == "require" and driver == "postgresql+asyncpg":
        raise ValueError("=require is not supported by asyncpg; remove it or use postgresql+psycopg://")
    return {field: parse(value)}


def _tls_mode(value: str) -> str:
    mode = {"true": "require", "1": "require", "false": "disable", "0": "disable"}.get(value, value)
    return _choice("disable", "allow", "prefer", "require", "verify-ca", "verify-full")(mode)


def _choice(*values: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if value not in values:
            raise ValueError(f"must be one of {', '.join(values)}")
        return value

    return parse


def _seconds(value: str) -> float:
    if not value.isdecimal() or int(value) < 1:
        raise ValueError("must be a whole number of seconds, at least 1")
    return float(value)


_FIELDS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "sslmode": ("tls_mode", _tls_mode),
    "ssl": ("tls_mode", _tls_mode),  # asyncpg's and JDBC's name
    "sslrootcert": ("ca_file", str),
    "channel_binding": ("channel_binding", _choice("disable", "prefer", "require")),
    "options": ("options", str),
    "application_name": ("application_name", str),
    "connect_timeout": ("connect_timeout_s", _seconds),
    "target_session_attrs": (
        "target",
        _choice("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
    ),
}

_POOLED: dict[str, Callable[[str], bool]] = {
    "pgbouncer": lambda value: _choice("true", "false")(value) == "true",  # Prisma's, in Supabase's URLs
    "statement_cache_size": lambda value: bool(_choice("0")(value)),  # asyncpg's
    "prepared_statement_cache_size": lambda value: bool(_choice("0")(value)),  # SQLAlchemy's
    "prepareThreshold": lambda value: bool(_choice("0")(value)),  # JDBC's
}
"""Parameters with which other clients do without prepared statements, for a pooler in transaction mode."""

_INSTEAD = {
    "command_timeout": "set DATABASE_STATEMENT_TIMEOUT_S instead",
    "connection_limit": "set DATABASE_POOL_SIZE instead",
    "max_overflow": "set DATABASE_POOL_SIZE instead",
    "password": "write it before the host, postgresql://user:password@host/database",
    "pool_size": "set DATABASE_POOL_SIZE instead",
    "pool_timeout": "set DATABASE_CONNECT_TIMEOUT_S instead",
    "prepare_threshold": "set DATABASE_POOLER=true to disable prepared statements",
    "schema": "use options=-csearch_path%3D… instead",
    "statement_timeout": "set DATABASE_STATEMENT_TIMEOUT_S instead",
    "timeout": "set DATABASE_CONNECT_TIMEOUT_S instead",
    "user": "write it before the host, postgresql://user:password@host/database",
}
