"""Settings: read once from the environment, all their faults reported together.

A group of settings is a frozen dataclass whose fields are made by `setting`. `Settings` is Decant's own; an app adds
groups of its own and reads them with the same `load`.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from types import MappingProxyType
from typing import Any

from decant.errors import ConfigError

__all__ = ["Settings", "load", "read", "setting", "settings"]


def setting[T](variable: str, parse: Callable[[str], T], about: str, *, default: Any = MISSING) -> Any:
    """Declare a field of a settings dataclass.

    Args:
        variable: Name of the environment variable; set but empty counts as not set.
        parse: Makes the value from the text, or raises `ValueError` with what is wrong.
        about: What it does, in a line, with its unit; printed in the README's table.
        default: Value when the variable is not set; without one the variable is required.
    """
    metadata = {"variable": variable, "parse": parse, "about": about}
    return field(metadata=metadata) if default is MISSING else field(default=default, metadata=metadata)


def text(value: str) -> str:
    """Any text."""
    return value


def count(value: str) -> int:
    """A whole number, 1 or more."""
    if not value.isdecimal() or int(value) < 1:
        raise ValueError(f"must be a whole number of at least 1, not {value!r}")
    return int(value)


def flag(value: str) -> bool:
    """Yes or no."""
    if value not in {"true", "false"}:
        raise ValueError(f"must be true or false, not {value!r}")
    return value == "true"


def seconds(value: str) -> float:
    """A number of seconds above 0."""
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise ValueError(f"must be a number of seconds above 0, not {value!r}")
    return number


def http_url(value: str) -> str:
    """An http or https address."""
    if not value.startswith(("http://", "https://")):
        raise ValueError(f"must start with http:// or https://, not {value!r}")
    return value


def database_url(value: str) -> str:
    """An SQLAlchemy address of PostgreSQL with an async driver; never repeated in the message, it holds a password."""
    if not value.startswith(("postgresql+asyncpg://", "postgresql+psycopg://")):
        raise ValueError("must start with postgresql+asyncpg:// or postgresql+psycopg://")
    return value


def role_name(value: str) -> str:
    """A role of PostgreSQL, whose name needs no quotes."""
    if not (value.isascii() and value.isidentifier() and value == value.lower()):
        raise ValueError(f"must be small letters, digits and _, not {value!r}")
    return value


def log_level(value: str) -> str:
    """One of logging's level names."""
    if value.upper() not in {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}:
        raise ValueError(f"must be DEBUG, INFO, WARNING, ERROR or CRITICAL, not {value!r}")
    return value.upper()


def named_urls(value: str) -> Mapping[str, str]:
    """Addresses by name, `default=https://…,mail=https://…`."""
    urls: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in value.split(","))):
        name, separator, url = pair.partition("=")
        if not (name and separator and url.startswith(("http://", "https://"))):
            raise ValueError(f"must be name=url pairs with commas between, not {pair!r}")
        urls[name] = url
    return urls


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Decant's own settings."""

    stage: str = setting("STAGE", text, "Name of the stage, in every log line", default="local")
    service: str = setting("SERVICE", text, "Name of the service, in every log line", default="decant")
    function_name: str = setting("AWS_LAMBDA_FUNCTION_NAME", text, "Set by Lambda", default="")
    initialization_type: str = setting("AWS_LAMBDA_INITIALIZATION_TYPE", text, "Set by Lambda", default="on-demand")
    log_level: str = setting("LOG_LEVEL", log_level, "DEBUG, INFO, WARNING, ERROR or CRITICAL", default="INFO")
    region: str = setting("AWS_REGION", text, "Region of the queues; set by Lambda", default="us-east-1")
    aws_endpoint_url: str | None = setting(
        "AWS_ENDPOINT_URL", http_url, "Where the AWS APIs are, when not at AWS", default=None
    )
    cors_origin: str | None = setting(
        "CORS_ORIGIN", text, "Origin of the web page that may read answers in a browser, or `*`", default=None
    )
    body_limit_bytes: int = setting("BODY_LIMIT_BYTES", count, "Largest request body, bytes", default=10 * 1024 * 1024)

    database_url: str | None = setting(
        "DATABASE_URL", database_url, "PostgreSQL, `postgresql+asyncpg://…` or `postgresql+psycopg://…`", default=None
    )
    database_secret_arn: str | None = setting(
        "DATABASE_SECRET_ARN",
        text,
        "Secret in AWS Secrets Manager with PostgreSQL's address, a URL or JSON as RDS writes it; over `DATABASE_URL`",
        default=None,
    )
    database_iam_auth: bool = setting(
        "DATABASE_IAM_AUTH",
        flag,
        "Whether to log in with tokens of IAM in place of a password; with TLS",
        default=False,
    )
    database_tls: bool = setting(
        "DATABASE_TLS", flag, "Whether to insist on TLS and a certificate that is vouched for", default=False
    )
    database_ca_file: str | None = setting(
        "DATABASE_CA_FILE",
        text,
        "PEM file of who may vouch for PostgreSQL; public authorities by default",
        default=None,
    )
    database_proxy: bool = setting(
        "DATABASE_PROXY",
        flag,
        "Whether RDS Proxy stands before PostgreSQL: it sets the statement timeout",
        default=False,
    )
    database_app_role: str | None = setting(
        "DATABASE_APP_ROLE", role_name, "Role of the functions, which `migrate` makes and lets in", default=None
    )
    database_pool_size: int = setting("DATABASE_POOL_SIZE", count, "Most connections one environment opens", default=5)
    database_connect_timeout_s: float = setting(
        "DATABASE_CONNECT_TIMEOUT_S", seconds, "Longest wait for a connection, seconds", default=5.0
    )
    database_statement_timeout_s: float = setting(
        "DATABASE_STATEMENT_TIMEOUT_S", seconds, "Longest run of one statement, seconds", default=20.0
    )

    http_timeout_s: float = setting(
        "HTTP_TIMEOUT_S", seconds, "Longest wait for another service, seconds", default=10.0
    )
    http_connect_timeout_s: float = setting(
        "HTTP_CONNECT_TIMEOUT_S", seconds, "Longest wait for a connection to one, seconds", default=3.0
    )
    http_max_connections: int = setting(
        "HTTP_MAX_CONNECTIONS", count, "Most connections of the shared HTTP client", default=100
    )

    task_queue_urls: Mapping[str, str] = setting(
        "TASK_QUEUE_URLS",
        named_urls,
        "SQS queues by name, `default=https://…,mail=https://…`",
        default=MappingProxyType({}),
    )
    task_concurrency: int = setting(
        "TASK_CONCURRENCY", count, "Most tasks that one worker environment runs at a time", default=100
    )
    task_margin_s: float = setting(
        "TASK_MARGIN_S",
        seconds,
        "Seconds of an invocation that tasks leave for writing down how they ended",
        default=2.0,
    )
    task_heartbeat_s: float = setting(
        "TASK_HEARTBEAT_S", seconds, "Seconds between two looks at whether running tasks were revoked", default=5.0
    )
    task_result_expires_s: float = setting(
        "TASK_RESULT_EXPIRES_S", seconds, "Seconds after its end when a task's row is deleted", default=604_800.0
    )
    task_patience_s: float = setting(
        "TASK_PATIENCE_S", seconds, "Seconds after which a task that nobody took is announced again", default=300.0
    )


def read[T](group: type[T], environment: Mapping[str, str]) -> T:
    """Read one group of settings.

    Raises:
        ConfigError: every missing or bad variable of the group, together.
    """
    values: dict[str, Any] = {}
    problems: list[str] = []
    for each in fields(group):  # type: ignore[arg-type]  # T is a dataclass, which typing cannot say
        variable = each.metadata["variable"]
        given = environment.get(variable, "").strip()
        if given:
            try:
                values[each.name] = each.metadata["parse"](given)
            except ValueError as error:
                problems.append(f"{variable}: {error}")
        elif each.default is MISSING:
            problems.append(f"{variable}: is not set; {each.metadata['about']}")
    if problems:
        raise ConfigError(problems)
    return group(**values)


@cache
def load[T](group: type[T]) -> T:
    """Read one group of settings from the process's environment, once.

    Raises:
        ConfigError: every missing or bad variable of the group, together.
    """
    return read(group, os.environ)


def settings() -> Settings:
    """Decant's own settings.

    Raises:
        ConfigError: every missing or bad variable, together.
    """
    loaded: Settings = load(Settings)
    return loaded
