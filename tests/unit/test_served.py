"""The import of functions by `make serve`."""

import logging
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from decant_cloud.local.commands.serve import code_files
from decant_cloud.local.served import load_apps, load_function

APP = """
from flask import Flask, render_template

import greeting

app = Flask(__name__)


@app.get("/{name}")
def view() -> str:
    return render_template("page.html", text=greeting.TEXT)
"""


@pytest.fixture
def functions(tmp_path: Path) -> Iterator[Path]:
    """A folder of two functions whose modules have the same names."""
    for name in ("first", "second"):
        (tmp_path / name / "templates").mkdir(parents=True)
        (tmp_path / name / "static").mkdir()
        (tmp_path / name / "app.py").write_text(APP.replace("{name}", name))
        (tmp_path / name / "greeting.py").write_text(f"TEXT = 'of {name}'\n")
        (tmp_path / name / "templates/page.html").write_text("{{ text }}")
        (tmp_path / name / "static/style.css").write_text(name)
    path, modules = list(sys.path), set(sys.modules)
    yield tmp_path
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


def test_function_has_its_own_modules_templates_and_static_files(functions: Path) -> None:
    """As in Lambda, where a function's folder is the first of the path and no other function is there."""
    apps = load_apps(functions)

    pages = [app.test_client().get(f"/{name}").text for app, name in zip(apps, ("first", "second"), strict=True)]
    styles = [Path(str(app.static_folder), "style.css").read_text() for app in apps]
    assert (pages, styles) == (["of first", "of second"], ["first", "second"])


def test_function_is_in_sys_modules(functions: Path) -> None:
    """Type hints are resolved, and objects pickled, through the module's entry."""
    assert sys.modules[load_function(functions / "first").__name__].app.name == "functions_first"


def test_function_that_cannot_be_imported_does_not_stop_the_others(
    functions: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its error is logged with the traceback."""
    (functions / "first/app.py").write_text("def broken(:\n")

    with caplog.at_level(logging.ERROR):
        apps = load_apps(functions)

    assert len(apps) == 1
    [record] = caplog.records
    assert record.getMessage() == "Could not import functions/first/app.py"
    assert record.exc_info is not None


def test_changes_of_code_are_noticed(functions: Path, tmp_path: Path) -> None:
    """`make serve` restarts when a module, a template or a setting changes, and not for compiled modules."""
    bundle = tmp_path / "bundle"
    (bundle / "functions").mkdir(parents=True)
    shutil.copytree(functions / "first", bundle / "functions/first")
    before = code_files(bundle)

    (bundle / "functions/first/app.pyc").touch()
    assert code_files(bundle) == before

    (bundle / ".env").write_text("MAIL_URL=http://mail\n")
    assert code_files(bundle) != before

    before = code_files(bundle)
    (bundle / "functions/first/templates/page.html").write_text("{{ text }}!")
    os.utime(bundle / "functions/first/templates/page.html", ns=(1, 1))
    assert code_files(bundle) != before
