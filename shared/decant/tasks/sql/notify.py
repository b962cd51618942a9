"""Notify workers without SQS of tasks that they can claim."""

import msgspec

from decant.tasks.records import Enqueued

__all__ = ["CHANNEL", "CLAIMABLE", "notifying"]

CHANNEL = "decant_task"
"""Channel of the notifications. They have no payload, so that PostgreSQL sends one for each transaction."""

CLAIMABLE = "t.wake_at = t.eta AND t.eta <= statement_timestamp() AS claimable"
"""Whether the row `t` is due and has no message."""

_FIELDS = ", ".join(f"changed.{info.name}" for info in msgspec.structs.fields(Enqueued))


def notifying(statement: str, *columns: str, before: str = "") -> str:
    """Extend a statement that returns the fields of `Enqueued`, CLAIMABLE, and other columns.

    `before` holds the queries that it reads: they cannot be nested when they change rows.

    The notification is sent at the commit, and only if there is such a task: a queue with SQS needs none.
    """
    return f"""
        WITH {before}changed AS ({statement}),
        notified AS (SELECT pg_notify('{CHANNEL}', '') FROM changed WHERE claimable LIMIT 1)
        SELECT {", ".join([_FIELDS, *columns])} FROM changed LEFT JOIN notified ON true
    """  # noqa: S608  # composed of constants
