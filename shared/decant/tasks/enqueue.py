"""Writing rows and announcing them: at once, or when the caller's transaction commits."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from decant.tasks.announce import announce
from decant.tasks.commit import after_commit
from decant.tasks.records import NewTask
from decant.tasks.store import store

__all__ = ["enqueue"]


async def enqueue(tasks: Sequence[NewTask], session: AsyncSession | None) -> list[UUID]:
    """Write tasks, and announce them once they are committed.

    Returns:
        The id of each, or of the earlier task that stands for it.
    Raises:
        DatabaseUnavailable: PostgreSQL is away; nothing was written, and retrying helps once it is back.
    """
    written = await store().insert(tasks, session)
    if session is None:
        await announce(written)
    else:
        after_commit(session, lambda: announce(written))
    return [row.id for row in written]
