"""A bundle for the tests of the library and of the tooling, which `decant new` makes once per process.

It has what every new bundle has, the admin routes, the queue `slow`, and functions of its own: `users_get`,
`users_create`, and `rates_list`, which calls external services.
"""

import atexit
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from types import ModuleType

from decant.db.migrations import heads
from decant_cloud.invocation import load_module
from decant_cloud.scaffold.bundle import add_admin, render, wheels_in
from decant_cloud.scaffold.function_files import Needs
from decant_cloud.scaffold.functions import add_function
from decant_cloud.scaffold.limits import write_limits
from decant_cloud.scaffold.queues import add_queue
from decant_cloud.scaffold.routes import Route
from decant_cloud.scaffold.template_text import with_schema
from tests.sample.database import VERSIONS

__all__ = ["build_wheels", "empty_wheels", "load_function", "sample_bundle"]


@cache
def sample_bundle() -> Path:
    """Folder of the bundle. Tests must not change its files."""
    scratch = Path(tempfile.mkdtemp(prefix="decant-sample-"))
    atexit.register(shutil.rmtree, scratch, ignore_errors=True)
    scratch.chmod(0o755)  # root's PostgreSQL runs as another user
    folder = scratch / "decant"
    render(folder, "decant", empty_wheels(scratch))
    add_function(folder, Route.parse("GET /users/{user_id}"), None, Needs(database=True))
    add_function(folder, Route.parse("POST /users"), None, Needs(database=True, queue=True))
    add_function(folder, Route.parse("GET /rates"), None, Needs(internet=True))
    add_queue(folder, "slow")
    add_admin(folder)
    _limit_callers(folder, "users_create")
    shutil.copytree(VERSIONS, folder / "functions/migrate/versions")
    template = folder / "template.yaml"
    template.write_text(with_schema(template.read_text(), heads(VERSIONS)))
    return folder


def load_function(name: str) -> ModuleType:
    """Import a function of the bundle anew, as Lambda does at a cold start."""
    return load_module(sample_bundle() / "functions" / name / "app.py")


def empty_wheels(folder: Path) -> list[Path]:
    """Two files with the names of the wheels."""
    wheels = [folder / f"{name}-0.1.0-py3-none-any.whl" for name in ("decant_flask", "decant_cloud")]
    for wheel in wheels:
        wheel.write_bytes(wheel.name.encode())
    return wheels


def _limit_callers(folder: Path, function: str) -> None:
    """Limit the requests of one caller to the route of a function."""
    app = folder / f"functions/{function}/app.py"
    text = app.read_text().replace("import lambda_handler", "import lambda_handler, limit_per_caller")
    app.write_text(text.replace("async def", "@limit_per_caller\nasync def"))
    write_limits(folder)


def build_wheels(repository: Path, folder: Path) -> list[Path]:
    """Build both wheels of a copy of the repository."""
    for project in (repository, repository / "infra"):
        command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
        subprocess.run(command, cwd=project, check=True, capture_output=True)
    return wheels_in(folder)
