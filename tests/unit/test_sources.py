"""Changes of source files: found where the kernel reports them, and where each file has to be compared."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from decant_cloud.lambda_runtime import sources
from decant_cloud.lambda_runtime.sources import Sources

CHANGES: dict[str, Callable[[Path], object]] = {
    "written": lambda folder: (folder / "app.py").write_text("b = 22"),
    "created": lambda folder: (folder / "new.py").touch(),
    "deleted": lambda folder: (folder / "app.py").unlink(),
    "renamed": lambda folder: (folder / "app.py").rename(folder / "other.py"),
    "replaced": lambda folder: (folder.parent / "saved.py").rename(folder / "app.py"),
    "created in a folder": lambda folder: (folder / "inner/new.py").touch(),
    "moved with its folder": lambda folder: (folder / "inner").rename(folder / "outer"),
    "written behind a link": lambda folder: (folder.parent / "library/core.py").write_text("c = 33"),
    "deleted with all others": shutil.rmtree,
}


@pytest.fixture(params=["reported", "compared"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of sources, with a link to a library beside an installed one."""
    if request.param == "compared":
        monkeypatch.setattr(sources, "_LOCAL", frozenset())
    for path in ("code/app.py", "code/inner/module.py", "code/inner/removed.py", "library/core.py", "saved.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("a = 1")
    (tmp_path / "code/site/installed").mkdir(parents=True)
    (tmp_path / "code/site/installed-1.dist-info").mkdir()
    (tmp_path / "code/site/library").symlink_to(tmp_path / "library")
    return tmp_path / "code"


def looked(folder: Path) -> Sources:
    """The sources as they are now."""
    seen = Sources([folder])
    seen.look()
    return seen


@pytest.mark.parametrize("change", CHANGES)
def test_change_is_found(folder: Path, change: str) -> None:
    """A source that came, went or was written is found at once, and a second time after another look."""
    seen = looked(folder)
    assert not seen.changed()
    CHANGES[change](folder)
    assert seen.changed()
    seen.look()
    assert not seen.changed()


def test_change_in_a_new_folder_is_found(folder: Path) -> None:
    """Folders that were created after the first look are looked at too."""
    seen = looked(folder)
    (folder / "package").mkdir()
    seen.changed()
    (folder / "package/module.py").touch()
    assert seen.changed()


@pytest.mark.parametrize("path", ["__pycache__/app.cpython-313.pyc", ".app.py.swp", "site/installed/core.py"])
def test_other_files_do_not_count(folder: Path, path: str) -> None:
    """Bytecode, files of editors, and installed packages are no sources."""
    seen = looked(folder)
    (folder / path).parent.mkdir(exist_ok=True)
    (folder / path).write_text("a = 1")
    assert not seen.changed()
    (folder / "app.py").write_text("b = 22")
    assert seen.changed()


def test_change_of_one_folder_is_none_of_another(folder: Path, tmp_path: Path) -> None:
    """Each function's sources are compared by themselves."""
    (tmp_path / "other").mkdir()
    seen, other = looked(folder), looked(tmp_path / "other")
    (tmp_path / "other/app.py").touch()
    assert not seen.changed()
    assert other.changed()
