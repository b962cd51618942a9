"""Files of the repository from which bundles are made. The wheel contains them below `demo/`.

Only the standard library is imported: the build of the wheel imports this module.
"""

from collections.abc import Iterator
from pathlib import Path

__all__ = ["ADMIN", "BASE", "DEMO", "demo_files", "packaged_files"]

ADMIN = ("task_status", "tasks_list", "tasks_revoke", "tasks_redrive", "queues_list", "workflows", "console")
"""Functions of `decant new admin`."""

BASE = ("api_docs", "authorizer", "dead_letters", "migrate", "task_sweeper", "task_worker")
"""Functions of every bundle."""

DEMO = (
    "async_response",
    "fetch_data",
    "orders_create",
    "orders_approve",
    "users_create",
    "users_get",
    "users_list",
    "users_update",
    "users_delete",
    "start_task",
    "task_events",
    "uploads_create",
    "uploads_received",
)
"""Functions of the demo alone, beside `slow_worker`."""

_COPIED = (
    ".github/workflows/*.yml",
    ".gitignore",
    "tests/bundle/*.py",
    "events/*.json",
    "functions/*/app.py",
    "infra/*.yaml",
    "infra/import_budget.toml",
    "samconfig.toml",
    "shared/Makefile",
    "shared/arm64/Makefile",
    "shared/auth.txt",
    "shared/docs.txt",
    "shared/requirements.txt",
    "shared/x86_64/Makefile",
    "template.yaml",
)
_OF_DEMO = ("functions/api_docs/openapi.json", "functions/**/*.py", "shared/domain/*.py", "tests/functions/*.py")
_FOR_COMMANDS = ("CHANGELOG.md", "infra/policy.toml", "requirements/bundle.txt")


def demo_files(folder: Path, *, is_demo: bool) -> Iterator[Path]:
    """Files that a new bundle has from the repository.

    Args:
        folder: Folder of the repository, or of its copy in the wheel.
        is_demo: Whether the bundle has the demo's functions.
    """
    for pattern in (*_COPIED, *(_OF_DEMO if is_demo else ())):
        yield from sorted(folder.glob(pattern))


def packaged_files(folder: Path) -> Iterator[Path]:
    """Files of the repository that the wheel contains."""
    yield from dict.fromkeys(demo_files(folder, is_demo=True))
    for pattern in _FOR_COMMANDS:
        yield from folder.glob(pattern)
