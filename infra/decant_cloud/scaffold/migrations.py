"""Compare the models of `shared/domain` with the migrations, and write a migration of the difference."""

import importlib
import pkgutil
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic.autogenerate import compare_metadata, produce_migrations, render_python_code
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, MetaData, String, create_engine
from sqlalchemy.orm import DeclarativeBase

from decant import loop
from decant.db.migrations import heads, migrate
from decant.runtime import Runtime
from decant_cloud.errors import CommandError
from decant_cloud.local.postgres import temporary_postgres
from decant_cloud.scaffold.files import write
from decant_cloud.scaffold.template_text import with_schema

__all__ = ["add_migration", "differences"]

VERSIONS = "functions/migrate/versions"
_EMPTY = '    op.execute("SELECT 1")  # your statements here'

_MIGRATION = '''"""{title}."""

{imports}

revision = "{revision}"
down_revision = {previous}


def upgrade() -> None:
    """{title}; code of the previous release runs beside the new schema for a while."""
{body}
'''


def differences(root: Path, url: str) -> list[str]:
    """Changes that would make the schema of a database that of the models, a line each.

    Args:
        root: Folder of the bundle.
        url: SQLAlchemy address of a migrated database.
    """
    with _comparison(url) as context:
        return [str(each) for each in compare_metadata(context, _models(root))]


def add_migration(root: Path, title: str, *, is_empty: bool = False) -> list[Path]:
    """Write a migration that changes the schema to that of the models, and name it in the template.

    Args:
        root: Folder of the bundle.
        title: What it does: `add phone`.
        is_empty: Write no changes, for statements written by hand.

    Returns:
        Every file that was written.

    Raises:
        CommandError: The title has no letters, or the models have not changed; nothing was written.
    """
    words = re.sub(r"\W+", "_", title.lower()).strip("_")
    if not words:
        raise CommandError(f'{title!r} is not a title. Write what the migration does, as "add phone".')
    numbers = [int(path.name[:4]) for path in root.glob(f"{VERSIONS}/[0-9][0-9][0-9][0-9]_*.py")]
    revision = f"{max(numbers, default=0) + 1:04}_{words}"
    previous = [each for each in heads(root / VERSIONS).split(", ") if each and not each.startswith("decant_")]
    body, imports = (_EMPTY, "from alembic import op") if is_empty else _changes(root)
    sentence = title[0].upper() + title[1:]
    path = root / VERSIONS / f"{revision}.py"
    down = f'"{previous[0]}"' if previous else "None"
    text = _MIGRATION.format(title=sentence, imports=imports, revision=revision, previous=down, body=body)
    template = root / "template.yaml"
    written = write({path: text}, {})
    _format(path)
    template.write_text(with_schema(template.read_text(), heads(root / VERSIONS)))
    return [*written, template]


def _changes(root: Path) -> tuple[str, str]:
    """The statements of a migration, and its imports."""
    with temporary_postgres() as server:
        with Runtime({"DATABASE_URL": server.url()}).active() as own:
            loop.run(migrate(root / VERSIONS))
            own.shut_down()
        with _comparison(server.url()) as context:
            operations = produce_migrations(context, _models(root)).upgrade_ops
            if operations is None or operations.is_empty():
                raise CommandError(
                    "The models in shared/domain agree with the migrations. Change a model first, or write the "
                    "statements yourself in the migration that --empty makes."
                )
            code = render_python_code(operations)
    lines = [line for line in code.splitlines() if not line.strip().startswith("# ###")]
    body = textwrap.indent(textwrap.dedent("\n".join(lines)).strip(), "    ")
    imports = ["import sqlalchemy as sa"] if "sa." in body else []
    imports += ["from sqlalchemy.dialects import postgresql"] if "postgresql." in body else []
    return body, "\n".join(
        ["from alembic import op", *imports] if not imports else [*imports[:1], "from alembic import op", *imports[1:]]
    )


@contextmanager
def _comparison(url: str) -> Iterator[MigrationContext]:
    engine = create_engine(re.sub(r"^postgresql\+\w+:", "postgresql+psycopg:", url))
    try:
        with engine.connect() as connection:
            yield _context(connection)
    finally:
        engine.dispose()


def _context(connection: Connection) -> MigrationContext:
    opts = {"version_table_schema": "decant", "compare_type": _is_other_type}
    return MigrationContext.configure(connection, opts=opts)


def _is_other_type(_context: object, _column: object, _model_column: object, found: Any, wanted: Any) -> bool | None:
    """Whether a column has another type than its model; None for Alembic's own comparison.

    PostgreSQL's text and its varchar without a length hold the same values.
    """
    is_text = all(isinstance(each, String) and each.length is None for each in (found, wanted))
    return False if is_text else None


def _models(root: Path) -> MetaData:
    """The tables of all models in `shared/domain`."""
    shared = str(root / "shared")
    if shared not in sys.path:
        sys.path.insert(0, shared)
    domain = importlib.import_module("domain")
    for module in pkgutil.walk_packages(domain.__path__, "domain."):
        importlib.import_module(module.name)
    tables = MetaData()
    for base in DeclarativeBase.__subclasses__():
        if base.__module__.split(".")[0] == "domain":
            for table in base.metadata.sorted_tables:
                table.to_metadata(tables)
    return tables


def _format(path: Path) -> None:
    ruff = Path(sys.executable).with_name("ruff")
    for command in (["check", "--quiet", "--fix", "--select", "I,UP"], ["format", "--quiet"]):
        subprocess.run([str(ruff), *command, str(path)], check=False)
