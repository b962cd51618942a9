"""Alembic's migrations, applied in one transaction under a lock, and the functions' role let in afterwards."""

import logging
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from decant import db
from decant.config import settings
from decant.db.app_role import grant
from decant.errors import Conflict

__all__ = ["migrate"]

log = logging.getLogger(__name__)

_LOCK = "SELECT pg_advisory_xact_lock(hashtext('decant.migrate'))"
"""Held until the transaction ends: of two deployments at once, the second waits and then finds nothing to do."""


async def migrate(folder: Path, wanted: str | None = None) -> dict[str, Any]:
    """Apply every migration that is missing, all of them or none.

    A schema that is newer than the migrations stays as it is: a deployment that was rolled back puts older code before
    newer tables, and migrations are written so that it works with them.

    Args:
        folder: Alembic's script location.
        wanted: The revision that it must come to; any when not given.
    Returns:
        The schema's revision before and after: `{"from": "0001", "to": "0002"}`, null for an empty database.
    Raises:
        Conflict: the migrations do not come to the revision wanted; nothing was applied.
        DatabaseUnavailable: PostgreSQL cannot be reached; nothing was applied.
        sqlalchemy.exc.DBAPIError: a migration failed; nothing was applied.
    """
    async with db.session() as session:
        connection = await session.connection()
        moved: dict[str, Any] = await connection.run_sync(_upgrade, folder, wanted)
    log.info("Database migrated", extra=moved)
    return moved


def _upgrade(connection: Connection, folder: Path, wanted: str | None) -> dict[str, Any]:
    connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
    connection.exec_driver_sql(_LOCK)
    config = Config()
    config.set_main_option("script_location", str(folder))
    config.attributes["connection"] = connection
    before = _revision(connection)
    if before not in {None, *(each.revision for each in ScriptDirectory.from_config(config).walk_revisions())}:
        log.warning("The schema is newer than these migrations", extra={"revision": before})
        return {"from": before, "to": before}
    command.upgrade(config, "head")
    after = _revision(connection)
    if wanted not in {None, after}:
        raise Conflict(f"This code brings schema {after}, and Migration in template.yaml asks for {wanted}.")
    if role := settings().database_app_role:
        grant(connection, role)
    return {"from": before, "to": after}


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()
