"""The budget of imports: what counts, and how a breach is reported."""

import subprocess
import tomllib
from pathlib import Path

import pytest

from decant_cloud.checks.import_budget import BUDGETS, Budget, excess, imported, lacking, load_budget
from decant_cloud.checks.import_budget import Import as Imported

BUDGET = Budget(packages=frozenset({"flask"}), never=frozenset({"unittest"}))


def loaded(**chains: list[str]) -> Imported:
    """An import that came to these modules; `a__b` is `a.b`."""
    return Imported(chains={name.replace("__", "."): chain for name, chain in chains.items()}, cpu_s=0)


def test_excess_is_empty_within_the_budget() -> None:
    """Allowed packages, the standard library, our own packages and the function's own modules are free."""
    start = loaded(flask=["app"], flask__app=["app", "flask"], json=[], decant__web=["app"], app=[])

    assert list(excess(start, BUDGET, own_modules=frozenset({"app"}))) == []


def test_excess_names_a_package_and_the_way_it_came_in() -> None:
    """A reader sees which import to put off."""
    start = loaded(app=[], decant__http=["app"], httpx=["app", "decant.http"])

    assert list(excess(start, BUDGET, own_modules=frozenset({"app"}))) == ["app → decant.http → httpx"]


def test_excess_leaves_out_what_came_with_something_named() -> None:
    """One import to put off is one line."""
    start = loaded(httpx=["decant.http"], idna=["decant.http", "httpx"])

    assert list(excess(start, BUDGET)) == ["decant.http → httpx"]


def test_excess_holds_the_standard_library_to_what_is_never_needed() -> None:
    """Of the standard library, just what the budget names is refused."""
    start = loaded(unittest=["app"], logging=["app"])

    assert list(excess(start, BUDGET)) == ["app → unittest"]


def test_budget_of_a_function_that_is_not_named_is_the_default() -> None:
    """A new function has the small budget by default."""
    assert load_budget("no_such_function").packages >= {"flask", "greenlet"}
    assert "sqlalchemy" not in load_budget("no_such_function").packages


def test_budgets_are_of_functions_that_exist() -> None:
    """A budget does not outlive its function."""
    named = tomllib.loads(BUDGETS.read_text())["functions"].keys() - {"default"}

    assert {name for name in named if not (BUDGETS.parents[1] / "functions" / name).is_dir()} == set()


def test_lacking_names_a_module_whose_layer_the_function_has_not() -> None:
    """What would fail at the first request that needs it fails the check."""
    start = loaded(decant__tokens=["app"])

    assert list(lacking(start, {"SharedLayer", "AuthLayer"})) == []
    assert "AuthLayer" in next(lacking(start, {"SharedLayer"}))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a package and a module that imports it."""
    (tmp_path / "heavy").mkdir()
    (tmp_path / "heavy/__init__.py").write_text("import heavy.part")
    (tmp_path / "heavy/part.py").write_text("")
    (tmp_path / "app.py").write_text("import heavy")
    return tmp_path


def test_imported_tells_what_was_imported_on_whose_behalf(folder: Path) -> None:
    """The chain goes from the outermost importer to the innermost."""
    start = imported("app", folder, {}, [])

    assert start.chains["heavy.part"] == ["app", "heavy"]
    assert {"app", "heavy"} <= start.packages


def test_imported_finds_nothing_of_the_environment_that_asks(folder: Path) -> None:
    """What a developer has installed is not there in Lambda."""
    (folder / "app.py").write_text("import pytest")

    with pytest.raises(subprocess.CalledProcessError):
        imported("app", folder, {}, [])
