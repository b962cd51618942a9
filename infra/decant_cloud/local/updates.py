"""Keeps the local cloud as `template.yaml`, its nested stacks and the migrations are, while people edit them."""

import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Self

from decant_cloud.errors import CommandError
from decant_cloud.lambda_runtime.log_file import Journal

__all__ = ["Updates"]

TEMPLATE = "template.yaml"
NESTED = "infra/*.yaml"
"""Templates of nested stacks."""

MIGRATIONS = ("functions/migrate/versions", "shared/decant/db/migrations/versions")
"""Folders of the app's migrations and of the library's."""

LOOK_EVERY_S = 0.1

_Seen = frozenset[tuple[str, int, int]]
"""Files with their times and sizes."""


class Updates:
    """Redeploys when the template is saved, and migrates when a migration is; the log stream reports both.

    A context manager that looks while it is entered, at everything that was saved since it was made.

    Args:
        root: Folder of the bundle.
        journal: The stream's file.
        deploy: Deploys the template as it is then.
        migrate: Applies the migrations that are missing, with a line of its own in the stream.
    """

    def __init__(self, root: Path, journal: Path, deploy: Callable[[], object], migrate: Callable[[], object]) -> None:
        self._root = root
        self._journal = journal
        self._deploy = deploy
        self._migrate = migrate
        self._over = threading.Event()
        self._is_deployed = True
        self._template, self._migrations = self._look()

    def __enter__(self) -> Self:
        threading.Thread(target=self._run, name="updates", daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()  # an update that is under way is not awaited: it ends with the cloud

    def _run(self) -> None:
        journal = Journal(self._journal)
        while not self._over.wait(LOOK_EVERY_S):
            before, (self._template, self._migrations) = (self._template, self._migrations), self._look()
            is_template_new, is_migration_new = self._template != before[0], self._migrations != before[1]
            try:
                if is_template_new or (is_migration_new and not self._is_deployed):
                    self._update(journal)
                if is_migration_new:
                    self._migrate()
            except CommandError as error:
                if not self._over.is_set():
                    journal.write(TEMPLATE if is_template_new else "migrations", "", "", f"[ERROR] {error}")

    def _update(self, journal: Journal) -> None:
        started = time.monotonic()
        self._is_deployed = False
        self._deploy()
        self._is_deployed = True
        journal.write(TEMPLATE, "", "", f"Deployed in {time.monotonic() - started:.1f} s")

    def _look(self) -> tuple[_Seen, _Seen]:
        migrations = (path for folder in MIGRATIONS for path in (self._root / folder).glob("*.py"))
        return _seen([self._root / TEMPLATE, *self._root.glob(NESTED)]), _seen(migrations)


def _seen(paths: Iterable[Path]) -> _Seen:
    stats = [(str(path), path.stat()) for path in paths if path.exists()]
    return frozenset((path, stat.st_mtime_ns, stat.st_size) for path, stat in stats)
