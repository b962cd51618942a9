"""Apply Alembic's migrations in one transaction under a lock, then grant the functions' role its rights.

The library and the app have a branch of revisions each: the library's are in `versions/` here and carry the label
`decant`, the app's are in a folder of its own and do not depend on them. `decant.alembic_version` holds the revision of
both. An app's migration that uses the library's tables names the revision that it needs in `depends_on`.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from decant import db
from decant.config import load
from decant.db.settings import DatabaseSettings
from decant.errors import Conflict

__all__ = ["grant", "heads", "migrate"]

log = logging.getLogger(__name__)

_LOCK = "SELECT pg_advisory_xact_lock(hashtext('decant.migrate'))"
"""Held until the transaction ends: of two deployments at once, the second waits and then finds nothing to do."""

_SINGLE_LINE = {"0001", "0002", "0003"}
"""Revisions of the line that the library once shared with the app, recorded in `public.alembic_version`."""

_OWN_SCHEMAS = """
SELECT quote_ident(nspname) FROM pg_namespace
WHERE nspname = 'public' OR (nspname !~ '^pg_' AND nspname <> 'information_schema' AND nspowner = current_user::regrole)
"""

_ADOPT = "UPDATE alembic_version SET version_num = 'decant'"
"""Replace such a revision. Older releases read the new value as a newer schema and leave the schema as it is."""


def heads(versions: Path) -> str:
    """Newest revisions of both branches, sorted and separated by a comma: the `Schema` that the template names.

    Args:
        versions: Folder of the app's migrations; it need not exist.
    """
    return _joined(ScriptDirectory.from_config(_config(versions)).get_heads()) or ""


async def migrate(versions: Path, wanted: str | None = None) -> dict[str, Any]:
    """Apply every migration that is missing, all of them or none.

    A schema that is newer than the migrations stays as it is: after a rollback, older code runs beside newer tables,
    and migrations are written so that it works with them.

    Args:
        versions: Folder of the app's migrations; it need not exist.
        wanted: The schema to migrate to, as `heads()` writes it; not checked when it is None.
    Returns:
        The schema's revisions before and after: `{"from": "0001_users, decant_0002", "to": "0001_users, decant_0003"}`.
        `from` is null for an empty database.
    Raises:
        Conflict: the migrations do not come to the schema wanted; nothing was applied.
        DatabaseUnavailable: PostgreSQL cannot be reached; nothing was applied.
        sqlalchemy.exc.DBAPIError: a migration failed; nothing was applied.
    """
    async with db.session() as session:
        connection = await session.connection()
        moved: dict[str, Any] = await connection.run_sync(_upgrade, versions, wanted)
    log.info("Database migrated", extra=moved)
    return moved


def _upgrade(connection: Connection, versions: Path, wanted: str | None) -> dict[str, Any]:
    connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
    connection.exec_driver_sql(_LOCK)
    config = _config(versions)
    config.attributes["connection"] = connection
    recorded = _revisions(connection, "decant")
    former = _former(connection) if not recorded else ()
    revisions = list(recorded) or _on_branches(connection, former)
    if not {each.revision for each in ScriptDirectory.from_config(config).walk_revisions()}.issuperset(revisions):
        log.warning("The schema is newer than these migrations", extra={"revision": _joined(revisions)})
        return {"from": _joined(revisions), "to": _joined(revisions)}
    if wanted not in {None, target := heads(versions)}:
        raise Conflict(f"This code brings schema {target}, and Migration in template.yaml asks for {wanted}.")
    connection.exec_driver_sql("CREATE SCHEMA IF NOT EXISTS decant")  # before Alembic makes its table there
    if former:
        command.stamp(config, revisions)
        connection.exec_driver_sql(_ADOPT)
    command.upgrade(config, "heads")
    if role := load(DatabaseSettings).app_role:
        grant(connection, role)
    return {"from": _joined(former or recorded), "to": _joined(_revisions(connection, "decant"))}


def _config(versions: Path) -> Config:
    own = Path(__file__).parent
    config = Config()
    config.set_main_option("script_location", _escaped(own))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", f"{_escaped(own / 'versions')}\n{_escaped(versions)}")
    return config


def _escaped(path: Path) -> str:
    return str(path).replace("%", "%%")  # the options are read by configparser, which interpolates


def _former(connection: Connection) -> Sequence[str]:
    """Revisions of a database from before there were two branches; empty when it has no tables of the library."""
    return _revisions(connection, None) if _exists(connection, "decant.task") else ()


def _on_branches(connection: Connection, former: Sequence[str]) -> list[str]:
    """Revisions on the branches that stand for those of the single line.

    The library's follows from the indexes that exist. A revision that the app added to the line keeps its name. The
    demo's table needs none: its migration accepts a table that exists.
    """
    if not former:
        return []
    library = "decant_0002" if _exists(connection, "decant.task_open") else "decant_0001"
    return [library, *(each for each in former if each not in _SINGLE_LINE)]


def _revisions(connection: Connection, schema: str | None) -> Sequence[str]:
    options = {"version_table_schema": schema}
    return MigrationContext.configure(connection, opts=options).get_current_heads()


def _exists(connection: Connection, relation: str) -> bool:
    found = connection.execute(text("SELECT to_regclass(:relation) IS NOT NULL"), {"relation": relation})
    return bool(found.scalar_one())


def _joined(revisions: Sequence[str]) -> str | None:
    return ", ".join(sorted(revisions)) or None


def grant(connection: Connection, role: str) -> None:
    """Make the role if it is not there, and let it use every table there is now; to be repeated when there are more.

    On RDS it logs in with tokens of IAM and has no password.

    Args:
        connection: As the owner of the schema, in a transaction.
        role: Its name, with no need for quotes.
    """

    def ask(statement: str, **values: Any) -> Any:
        return connection.execute(text(statement), values)

    if not ask("SELECT 1 FROM pg_roles WHERE rolname = :role", role=role).first():
        ask(f"CREATE ROLE {role} LOGIN")
    if ask("SELECT 1 FROM pg_roles WHERE rolname = 'rds_iam'").first():
        ask(f"GRANT rds_iam TO {role}")
    for schema in ask(_OWN_SCHEMAS).scalars().all():
        ask(f"GRANT USAGE ON SCHEMA {schema} TO {role}")
        ask(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role}")
        ask(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {role}")
    for table in ("decant.alembic_version", "alembic_version"):  # the second in databases of earlier releases
        if _exists(connection, table):
            ask(f"REVOKE INSERT, UPDATE, DELETE ON {table} FROM {role}")
