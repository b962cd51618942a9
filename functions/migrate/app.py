"""Invoked at deployment: brings the database's schema up to this version."""

import logging
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext

from decant import db, loop, observability

observability.configure()
log = logging.getLogger("migrate")

LOCK = "SELECT pg_advisory_xact_lock(hashtext('decant.migrate'))"
"""Held until the transaction ends: of two deployments at once, the second waits and then finds nothing to do."""


def handler(_event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Apply every migration that is missing, all of them or none.

    Returns:
        The schema's revision before and after: `{"from": "0001", "to": "0002"}`, null for an empty database.
    Raises:
        DatabaseUnavailable: PostgreSQL cannot be reached; nothing was applied.
        sqlalchemy.exc.DBAPIError: a migration failed; nothing was applied.
    """
    return loop.run(migrate())


async def migrate() -> dict[str, Any]:
    """Apply every migration that is missing, in one transaction."""
    async with db.session() as session:
        connection = await session.connection()
        moved: dict[str, Any] = await connection.run_sync(upgrade)
    log.info("Database migrated", extra=moved)
    return moved


def upgrade(connection: Any) -> dict[str, Any]:
    """Let Alembic work on a connection that has a transaction open."""
    connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
    connection.exec_driver_sql(LOCK)
    before = MigrationContext.configure(connection).get_current_revision()
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    return {"from": before, "to": MigrationContext.configure(connection).get_current_revision()}
