"""Logging in to PostgreSQL with tokens of IAM in place of a password.

The pool signs one for each connection that it opens, so that none in use ever expires: RDS looks at a token once, and a
connection that it has opened outlives it.

Source: Amazon Aurora User Guide, IAM database authentication.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.util import await_only

from decant._aws.credentials import credentials
from decant._aws.sigv4 import CredentialScope, presign_url
from decant.errors import CredentialsUnavailable, DatabaseUnavailable

__all__ = ["install"]

TOKEN_S = 900
"""How long RDS takes a token, seconds; it allows no more."""


def install(engine: Engine, region: str) -> None:
    """Let the engine's pool log in with tokens for one region's databases."""

    @event.listens_for(engine, "do_connect")
    def with_token(_dialect: object, _record: object, _args: object, given: dict[str, Any]) -> None:
        scope = CredentialScope(service="rds-db", region=region, at=datetime.now(UTC))
        try:
            own = await_only(credentials())
        except CredentialsUnavailable as error:
            raise DatabaseUnavailable("There are no AWS credentials to log in to the database with.") from error
        host = f"{given['host']}:{given.get('port', 5432)}"
        given["password"] = presign_url(host, {"Action": "connect", "DBUser": given["user"]}, TOKEN_S, own, scope)
