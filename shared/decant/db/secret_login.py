"""Logging in to PostgreSQL with what a secret says: its whole address, or just name and password.

The secret is read at the first connection, and again when what it said no longer opens the door, so that a password
that was rotated is found out without a deployment.
"""

import json
from typing import Any

from sqlalchemy import Dialect, Engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.util import await_only

from decant.errors import AwsUnavailable, DatabaseUnavailable
from decant.secrets import secret

__all__ = ["install"]


def install(engine: Engine, arn: str) -> None:
    """Let the engine's pool log in as the secret says, over what the engine's own address says."""

    @event.listens_for(engine, "do_connect")
    def with_secret(dialect: Dialect, _record: object, args: list[Any], given: dict[str, Any]) -> Any:
        known = _read(arn, fresh=False)
        try:
            return dialect.connect(*args, **given | _arguments(dialect, known))
        except Exception:
            # Each driver tells of a wrong password in its own way, and psycopg only in words.
            rotated = _read(arn, fresh=True)
            if rotated == known:
                raise
            return dialect.connect(*args, **given | _arguments(dialect, rotated))


def _read(arn: str, *, fresh: bool) -> str:
    try:
        return await_only(secret(arn, fresh=fresh))
    except AwsUnavailable as error:
        raise DatabaseUnavailable("The secret with the database's address cannot be read.") from error


def _arguments(dialect: Dialect, secret_text: str) -> dict[str, Any]:
    """What a secret adds to the driver's arguments: all of an address, or just the name and password.

    Source: AWS Secrets Manager User Guide, JSON structure of database credential secrets.
    """
    _args, arguments = dialect.create_connect_args(_url(secret_text))
    return dict(arguments)


def _url(secret_text: str) -> URL:
    if not secret_text.lstrip().startswith("{"):
        return make_url(secret_text)
    fields = json.loads(secret_text)
    return URL.create(
        "postgresql",
        username=fields.get("username"),
        password=fields.get("password"),
        host=fields.get("host"),
        port=int(fields["port"]) if "port" in fields else None,
        database=fields.get("dbname"),
    )
