"""`decant pour` with applications and targets that it refuses: the error says what to do, and nothing is written."""

import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from decant_cloud.cli import run
from decant_cloud.scaffold.bundle import render
from tests.sample.bundle import empty_wheels

APP = "from flask import Flask\napp = Flask(__name__)\napp.add_url_rule('/', 'index', lambda: 'index')\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new bundle."""
    scratch = tmp_path_factory.mktemp("pour")
    render(scratch / "myshop", "myshop", empty_wheels(scratch))
    return scratch / "myshop"


@pytest.fixture
def bundle(made: Path, tmp_path: Path, use_bundle: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the bundle, on which commands work; temporary folders are in a folder of the test."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    use_bundle(shutil.copytree(made, tmp_path / "myshop"))
    return tmp_path / "myshop"


def pour(application: Path, code: str, *options: str) -> int:
    """Write an application of one module, and pour it with the packages of this environment; the exit status."""
    application.mkdir(exist_ok=True)
    (application / "shop.py").write_text(code)
    return run(
        ["pour", f"{application / 'shop.py'}", "--python", sys.executable, "--requirements", "/dev/null", *options]
    )


def files(folder: Path) -> dict[Path, int]:
    """Files and folders, with their times."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("def create_app(config): ...", """pass literals: 'shop:create_app("dev")'"""),
        ("import no_such_package\napp = 1", "Add the package of no_such_package to its requirements"),
        ("import os\napp = os.environ['SHOP_KEY']", "Set SHOP_KEY in the environment or in the application's .env"),
        ("app = 1 / 0", "ZeroDivisionError: division by zero"),
        ("import sys\nsys.exit('no configuration')\napp = 1", "SystemExit: no configuration"),
        ("app = 1 +", "cannot be read as Python"),
    ],
)
def test_application_that_cannot_be_imported_is_refused(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], code: str, message: str
) -> None:
    """The error has the cause, in the application's own files, and what to do."""
    before = files(bundle)

    status = pour(tmp_path / "shop", code)

    error = capsys.readouterr().err
    assert status == 1
    assert message in error
    assert "decant-pour-" not in error
    assert files(bundle) == before
    assert list((tmp_path / "tmp").iterdir()) == []


def test_failed_import_leaves_no_new_bundle(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--into` writes the bundle when all has succeeded."""
    status = pour(tmp_path / "shop", "app = 1 / 0", "--into", str(tmp_path / "new"), "--wheels", str(bundle.parent))

    assert status == 1
    assert "wheels" in capsys.readouterr().err
    empty_wheels(tmp_path)
    assert pour(tmp_path / "shop", "app = 1 / 0", "--into", str(tmp_path / "new"), "--wheels", str(tmp_path)) == 1
    assert "ZeroDivisionError" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir() if "new" in path.name] == []


def test_folder_that_is_not_empty_is_refused(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The files in it stay as they are."""
    empty_wheels(tmp_path)
    before = files(bundle)

    status = pour(tmp_path / "shop", APP, "--into", str(bundle), "--wheels", str(tmp_path))

    assert status == 1
    assert f"{bundle} exists and is not empty. Choose another name, or remove it." in capsys.readouterr().err
    assert files(bundle) == before


@pytest.mark.parametrize("place", ["functions/shop", ".."])
def test_application_inside_of_the_bundle_or_around_it_is_refused(
    bundle: Path, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    """A copy would contain itself."""
    status = pour((bundle / place).resolve(), APP)

    assert status == 1
    assert "contain each other. Move one of them." in capsys.readouterr().err
    assert not (bundle / "shared/shop").exists()


def test_second_application_with_the_same_routes_is_refused(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error names the route that both have, and the bundle keeps the first application alone."""
    assert pour(tmp_path / "shop", APP) == 0
    before = files(bundle)

    status = pour(tmp_path / "shop", APP, "--name", "other")

    assert status == 1
    assert "ANY /" in capsys.readouterr().err
    assert files(bundle) == before


def test_threads_and_files_of_the_import_are_reported(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A thread that never ends does not keep the command from ending; what the import writes is not in the bundle."""
    code = (
        f"{APP}import os, threading, time\nthreading.Thread(target=time.sleep, args=[900]).start()\nos.mkdir('logs')\n"
    )

    assert pour(tmp_path / "shop", code) == 0

    printed = capsys.readouterr().out
    assert "shop.py:5: must change: The import starts a thread" in printed
    assert "shop.py:6: fixed: The import creates a folder" in printed
    assert "writable=True" in (bundle / "functions/shop/app.py").read_text()
    assert [path.name for path in (bundle / "shared/shop").iterdir()] == ["shop.py"]
    assert not (tmp_path / "shop/logs").exists()


def test_application_with_a_package_called_app_is_served_by_function_py(bundle: Path, tmp_path: Path) -> None:
    """The module of the function does not hide the package."""
    (tmp_path / "shop/app").mkdir(parents=True)
    (tmp_path / "shop/app/__init__.py").write_text("")

    assert pour(tmp_path / "shop", f"import app as package\n{APP}") == 0

    assert [path.name for path in (bundle / "functions/shop").iterdir()] == ["function.py"]


def test_folders_that_an_application_writes_to_are_kept(bundle: Path, tmp_path: Path) -> None:
    """A layer contains no empty folders; their `.gitkeep` is copied, and other hidden files are not."""
    (tmp_path / "shop/uploads").mkdir(parents=True)
    for name in (".gitkeep", ".secret"):
        (tmp_path / "shop/uploads" / name).touch()

    assert pour(tmp_path / "shop", APP) == 0

    assert [path.name for path in (bundle / "shared/shop/uploads").iterdir()] == [".gitkeep"]


def test_dry_run_writes_nothing(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The plan is printed."""
    before = files(bundle)

    assert pour(tmp_path / "shop", APP, "--dry-run") == 0

    assert "functions/shop: ANY /, ANY /{proxy+}" in capsys.readouterr().out
    assert files(bundle) == before


@pytest.mark.usefixtures("bundle")
def test_paths_to_which_other_functions_respond_are_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The function of the bundle has the more specific route."""
    assert pour(tmp_path / "shop", f"{APP}app.add_url_rule('/hello', 'hello', lambda: 'hello')\n", "--dry-run") == 0

    assert "/hello: the function hello responds in place of the application" in capsys.readouterr().out
