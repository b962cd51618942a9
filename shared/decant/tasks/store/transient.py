"""Errors of the database after which the same statement can be executed again."""

from sqlalchemy.exc import DBAPIError

from decant.errors import DatabaseUnavailable

__all__ = ["TRANSIENT", "is_rolled_back", "is_temporary"]

TRANSIENT = (DatabaseUnavailable, DBAPIError)
"""Errors after which the worker's own statements are executed again: PostgreSQL cannot be reached, or it cancelled the
statement, for example because of `DATABASE_STATEMENT_TIMEOUT_S`."""

_TEMPORARY = ("40", "53", "55", "57", "58")
"""SQLSTATE classes: rollback, insufficient resources, lock not available, statement timeout or shutdown, system error.

Source: PostgreSQL, appendix A, error codes.
"""


def is_rolled_back(error: DBAPIError) -> bool:
    """Whether PostgreSQL rolled the transaction back because of another: a deadlock, or a serialization failure."""
    return _sqlstate(error).startswith("40")


def is_temporary(error: Exception) -> bool:
    """Whether the same statement may succeed later: PostgreSQL did not reject its values."""
    if isinstance(error, DBAPIError):
        return _sqlstate(error).startswith(_TEMPORARY)
    return isinstance(error, DatabaseUnavailable)


def _sqlstate(error: DBAPIError) -> str:
    return getattr(error.orig, "sqlstate", None) or ""
