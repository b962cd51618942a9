"""`existing_app`: an application of the layer, in a process of its own."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.loading import run_python

CODE = """
import os
from flask import Flask

def create_app():
    app = Flask(__name__)
    app.secret_key, app.debug = "in the code", True
    app.add_url_rule("/error", "error", lambda: 1 / 0)
    os.makedirs("logs", exist_ok=True)
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "logs/shop.log"), "a") as file:
        file.write("started")

    @app.cli.command("init-db")
    def init_db():
        with open(os.path.join(app.instance_path, "shop.db"), "w") as file:
            file.write("tables")

    return app
"""
LOAD = """
import json, os, sys
from decant.web.existing import existing_app
sys.path.insert(0, {layer!r})
load = lambda: existing_app("shop", "shop:create_app", {options})
app = load()
page = app.test_client().get("/error")
found = dict(code=sys.modules["shop"].__file__, folder=os.getcwd(), instance=app.instance_path, key=app.secret_key)
found["page"] = [page.status_code, page.mimetype]
found["log"] = os.path.exists("logs/shop.log")
found["database"] = os.environ.get("URL", "") + " " + os.environ.get("PGOPTIONS", "")
print(json.dumps(found | dict(files=os.listdir(app.instance_path), same=app is load())))
"""


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    """A layer with an application in the folder `shop`."""
    (tmp_path / "layer/shop").mkdir(parents=True)
    (tmp_path / "layer/shop/shop.py").write_text(CODE)
    return tmp_path / "layer"


def load(layer: Path, options: str) -> dict[str, Any]:
    """What a function finds after it has loaded the application."""
    found: dict[str, Any] = json.loads(run_python(LOAD.format(layer=str(layer), options=options)))
    return found


def test_writable_application_runs_from_a_copy(layer: Path) -> None:
    """What it writes beside its code and in the working directory is in the copy, which ends with the process."""
    found = load(layer, "writable=True")

    assert Path(found["code"]).parent == Path(found["folder"])
    assert found["log"]
    assert not Path(found["folder"]).exists()
    assert [path.name for path in layer.rglob("*")] == ["shop", "shop.py"]


def test_instance_folder_is_temporary_and_prepared_by_commands(
    layer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command of the application runs once in a process, and loading again returns the same object."""
    monkeypatch.chdir(tmp_path)

    found = load(layer, 'commands=["init-db"], writable=True')

    assert found["files"] == ["shop.db"]
    assert found["same"]
    assert not Path(found["instance"]).is_relative_to(layer)
    assert not Path(found["instance"]).exists()


def test_secret_key_of_the_environment_replaces_that_of_the_code(layer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SECRET_KEY of the stage signs sessions."""
    monkeypatch.setenv("SECRET_KEY", "of the stage")

    assert load(layer, "writable=True")["key"] == "of the stage"


def test_address_of_the_database_has_no_percent_sign(layer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flask-Migrate passes the address to a ConfigParser; options are variables of libpq."""
    monkeypatch.setenv("DATABASE_URL", "postgresql+asyncpg://ada:secret@127.0.0.1:5432/shop")

    found = load(layer, 'database=("URL", "postgresql+psycopg"), writable=True')

    address, _, options = found["database"].partition(" ")
    assert address == "postgresql+psycopg://ada:secret@127.0.0.1:5432/shop"
    assert options == "-c statement_timeout=20000"


def test_error_in_debug_mode_is_flasks_page(layer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flask's own server responds with the same page to an error that an application in debug mode does not handle."""
    monkeypatch.chdir(tmp_path)

    assert load(layer, "writable=True")["page"] == [500, "text/html"]
