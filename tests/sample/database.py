"""The database of the sample application: the library's tables, and a table `users`."""

from pathlib import Path

from decant import loop
from decant.db import migrations

__all__ = ["VERSIONS", "migrate"]

VERSIONS = Path(__file__).parent / "versions"


def migrate() -> None:
    """Apply all migrations to the database of DATABASE_URL."""
    loop.run(migrations.migrate(VERSIONS))
