"""Settings of the database, and the forms that their values take."""

from decant.config import count, flag, seconds, setting, settings_group, text
from decant.db.address import Address

__all__ = ["DatabaseSettings"]


def role_name(value: str) -> str:
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
        role_name,
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
