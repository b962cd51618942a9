"""Groups that were saved: a finished row holds the ids of the members, as long as results are kept."""

from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from decant import db
from decant.celery.serialization import decode, encode

__all__ = ["delete", "restore", "save"]

_SAVE = """
    INSERT INTO decant.task (id, name, queue, args, kwargs, state, wake_at, date_done, result)
    VALUES (:id, 'celery.group', 'default', '[]', '{}', 'SUCCESS', NULL, statement_timestamp(), CAST(:ids AS json))
    ON CONFLICT (id) DO UPDATE SET result = excluded.result, date_done = excluded.date_done
"""
_RESTORE = "SELECT CAST(result AS text) AS ids FROM decant.task WHERE id = :id AND name = 'celery.group'"
_DELETE = "DELETE FROM decant.task WHERE id = :id AND name = 'celery.group'"


async def save(group_id: str, ids: Any) -> None:
    """Store the ids of a group's members."""
    await db.execute(_SAVE, {"id": _row_id(group_id), "ids": encode(ids, "ids")})


async def restore(group_id: str) -> Any:
    """The stored ids; None when there are none."""
    rows = await db.execute(_RESTORE, {"id": _row_id(group_id)})
    return decode(rows[0]["ids"]) if rows else None


async def delete(group_id: str) -> None:
    """Delete the stored ids."""
    await db.execute(_DELETE, {"id": _row_id(group_id)})


def _row_id(group_id: str) -> UUID:
    return uuid5(NAMESPACE_URL, f"decant.celery.group:{group_id}")
