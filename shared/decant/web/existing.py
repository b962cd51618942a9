"""Load an existing Flask application from the layer, for the functions that `decant pour` writes.

    app = existing_app("flaskr", "flaskr:create_app")
    handler = lambda_handler(app)

The application responds as under its own server: `lambda_handler` adds no problem details and no rules for web pages.
"""

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from pathlib import Path

from flask import Flask
from flask.cli import find_app_by_string

from decant import runtime
from decant.config import load
from decant.errors import ConfigError
from decant.web.defaults import EXISTING

__all__ = ["existing_app"]

_LIBPQ = {
    "application_name": "PGAPPNAME",
    "channel_binding": "PGCHANNELBINDING",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "options": "PGOPTIONS",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
}
"""Variables of options. Source: https://www.postgresql.org/docs/current/libpq-envars.html"""


def existing_app(
    folder: str,
    target: str,
    *,
    database: tuple[str, str] | None = None,
    commands: Sequence[str] = (),
    writable: bool = False,
) -> Flask:
    """Import the application of a folder of the layer; in one process, always the same object.

    Its instance folder is a new temporary folder, because the layer cannot be written to. The variable SECRET_KEY, when
    it is set, replaces the application's own secret key.

    Args:
        folder: Name of the application's folder in a folder of `sys.path`, to which it is added.
        target: Module and name of the application or its factory, `flaskr:create_app`, as for `flask --app`.
        database: Environment variable from which the application reads the address of PostgreSQL, and the scheme of
            that address, `postgresql+psycopg`. The variable is set to the address of the bundle's database.
        commands: Commands of the application's CLI that prepare the instance folder, such as `init-db`.
        writable: Import the application from a copy of its folder in /tmp, which becomes the working directory. What it
            writes there is lost with the execution environment.
    Raises:
        ConfigError: The database has no address with a password.
        ModuleNotFoundError: There is no such folder or module.
        RuntimeError: A command failed.
    """
    return _load(folder, target, database, tuple(commands), writable=writable)


@cache
def _load(
    folder: str, target: str, database: tuple[str, str] | None, commands: tuple[str, ...], *, writable: bool
) -> Flask:
    code = _find(folder)
    scratch = Path(tempfile.mkdtemp(prefix=f"{folder}-"))
    atexit.register(shutil.rmtree, scratch, ignore_errors=True)  # of `make serve`; a function's /tmp ends with it
    instance = scratch / "instance"
    instance.mkdir()
    if writable:
        code = shutil.copytree(code, scratch / folder)
        os.chdir(code)
    sys.path.insert(0, str(code))
    if database is not None:
        variable, scheme = database
        os.environ[variable] = _database_url(scheme)
    Flask.auto_find_instance_path = lambda self: str(instance)  # type: ignore[method-assign]  # noqa: ARG005
    module, _, name = target.partition(":")
    app = find_app_by_string(import_module(module), name)
    app.extensions[EXISTING] = True
    if app.config["PROPAGATE_EXCEPTIONS"] is None:
        app.config["PROPAGATE_EXCEPTIONS"] = False  # also in debug mode, Flask's page and not an error of the handler
    if secret_key := os.environ.get("SECRET_KEY"):
        app.secret_key = secret_key
    for command in commands:
        with app.app_context():  # as the command `flask` does
            result = app.test_cli_runner().invoke(args=command.split())
        if result.exit_code:
            raise RuntimeError(f"flask {command} failed: {result.output.strip()}") from result.exception
    return app


def _find(folder: str) -> Path:
    for path in sys.path:
        if (found := Path(path, folder)).is_dir():
            return found.absolute()
    raise ModuleNotFoundError(
        f"no folder {folder} in sys.path; is it in `packages` in shared/layers.toml?", name=folder
    )


def _database_url(scheme: str) -> str:
    """Address of the bundle's database for a synchronous driver of libpq, with the options of Decant's own pool.

    The options are environment variables. In the address, they would contain `%`, which the `env.py` of Flask-Migrate
    passes to a ConfigParser.
    """
    from decant.db.connect import connect_args, url_of_secret  # noqa: PLC0415  # SQLAlchemy, which not all apps use
    from decant.db.settings import Address, DatabaseSettings  # noqa: PLC0415

    settings = load(DatabaseSettings)
    if settings.iam_auth:
        raise ConfigError(["DATABASE_IAM_AUTH: an existing application needs a password; use Database=secret"])
    address = settings.address
    if settings.secret_arn is not None:
        from decant.secrets import secret  # noqa: PLC0415

        text = runtime.current().run(secret(settings.secret_arn))
        address = Address(url=url_of_secret(text)) if text.lstrip().startswith("{") else Address.parse(text)
    if address is None:
        raise ConfigError(["DATABASE_URL: is missing"])
    given = connect_args(address, settings, "psycopg")
    os.environ |= {variable: str(given[name]) for name, variable in _LIBPQ.items() if name in given}
    return address.url.set(drivername=scheme, query={}).render_as_string(hide_password=False)
