"""What `new` writes, and what it refuses."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from decant_cloud.checks.layout import disagreements
from decant_cloud.local.errors import LocalCloudError
from decant_cloud.scaffold.blocks import blocks_of
from decant_cloud.scaffold.new_function import add_function
from decant_cloud.scaffold.new_task import add_task
from decant_cloud.scaffold.routes import Route
from decant_cloud.template.model import load_template
from tests.loading import ROOT, call, load_module

EXPORT = Route(method="GET", path="/users/{user_id}/export/{kind}")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A copy of all that `new` reads."""
    for path in ("template.yaml", "events", "functions", "infra/import_budget.toml", "shared/domain/tasks.py"):
        copy = tmp_path / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (ROOT / path).is_dir() else shutil.copy)(ROOT / path, copy)
    return tmp_path


def texts(bundle: Path) -> dict[Path, str]:
    """Every file and what is in it."""
    return {path: path.read_text() for path in bundle.rglob("*.*") if path.is_file() and path.suffix != ".pyc"}


def added(bundle: Path) -> dict[str, Any]:
    """Resources that the bundle's template has more than ours."""
    ours, theirs = load_template(ROOT / "template.yaml"), load_template(bundle / "template.yaml")
    assert {name: theirs["Resources"][name] for name in ours["Resources"]} == ours["Resources"]
    return {name: each for name, each in theirs["Resources"].items() if name not in ours["Resources"]}


def test_new_function_agrees_with_the_bundle(bundle: Path) -> None:
    """Folder, event and template name the same function, and every file is told of."""
    written = add_function(bundle, "users_export", EXPORT, "async_response")

    assert disagreements(bundle) == []
    assert {path.relative_to(bundle).as_posix() for path in written} == {
        "functions/users_export/app.py",
        "events/users_export.json",
        "tests/integration/test_function_users_export.py",
        "template.yaml",
        "infra/import_budget.toml",
    }


def test_new_function_answers_its_event(bundle: Path) -> None:
    """The route's variables come from the path."""
    add_function(bundle, "users_export", EXPORT, "async_response")
    function = load_module(bundle / "functions/users_export/app.py")

    answer = call(function, json.loads((bundle / "events/users_export.json").read_text()))

    assert (answer.status, answer.json()) == (200, {"message": "users_export", "user_id": "1", "kind": "1"})


def test_new_function_has_all_that_its_model_has(bundle: Path) -> None:
    """One block with the model's properties; nothing of the model's names is left in it."""
    add_function(bundle, "users_export", EXPORT, "tasks_list")

    resources = added(bundle)

    assert resources.keys() == {"UsersExport"}
    properties = resources["UsersExport"]["Properties"]
    assert properties["Layers"] == [{"Ref": "AuthLayer"}]
    assert properties["Role"] == {"Fn::GetAtt": ["Access", "Outputs.DatabaseRoleArn"]}
    assert properties["Events"]["Route"]["Properties"]["Path"] == EXPORT.path
    assert "TasksList" not in json.dumps(resources)


@pytest.mark.parametrize("name", ["users_get", "api", "class", "app", "Users", "a-b", "_a", "a__b", "1a", "../a", ""])
def test_new_function_refuses_names(bundle: Path, name: str) -> None:
    """What exists and what is no name is refused, and nothing is written."""
    before = texts(bundle)

    with pytest.raises(LocalCloudError):
        add_function(bundle, name, EXPORT, "async_response")

    assert texts(bundle) == before


def test_new_function_needs_a_model_with_a_route(bundle: Path) -> None:
    """A worker's part of the template is no model for a route."""
    with pytest.raises(LocalCloudError, match="has no route"):
        add_function(bundle, "users_export", EXPORT, "task_worker")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/users/{user_id}", "The route GET /users/{user_id} exists"),
        ("/users/{id}/export", "GET /users/{user_id} has {user_id} where GET /users/{id}/export has {id}"),
    ],
)
def test_new_function_refuses_routes_that_cannot_be(bundle: Path, path: str, message: str) -> None:
    """One that exists, and one whose variable API Gateway would refuse beside another's."""
    with pytest.raises(LocalCloudError) as refused:
        add_function(bundle, "users_export", Route(method="GET", path=path), "async_response")

    assert str(refused.value).startswith(message)


@pytest.mark.parametrize(
    "text", ["GET", "GET users", "get /users", "GET /users/", "GET /{", "FETCH /a", "GET /a b", ""]
)
def test_route_refuses_what_is_none(text: str) -> None:
    """The message shows one."""
    with pytest.raises(LocalCloudError, match="is no route"):
        Route.parse(text)


def test_route_is_read_as_it_is_written() -> None:
    """Method, path, and Flask's form of it."""
    route = Route.parse("GET /users/{user_id}/export")

    assert (str(route), route.rule) == ("GET /users/{user_id}/export", "/users/<user_id>/export")
    assert route.variables == ["user_id"]


def test_blocks_go_to_the_function_of_the_longest_name() -> None:
    """`Users` does not take what `UsersGet` has."""
    text = "R:\n  Users:\n    A: 1\n\n  UsersGet:\n    B: 2\n  UsersRole:\n    C: 3\n  # d\n  UsersGetRole:\n    D: 4\n"

    blocks = blocks_of(text, "Users", ["Users", "UsersGet"])

    assert [(block.name, block.text) for block in blocks] == [
        ("Users", "  Users:\n    A: 1\n\n"),
        ("UsersRole", "  UsersRole:\n    C: 3\n"),
    ]


def test_new_task_runs(bundle: Path) -> None:
    """It is a task among the others, and is called as they are."""
    add_task(bundle, "export_users")

    module = load_module(bundle / "shared/domain/tasks.py")

    assert module.__all__ == ["export_users", "long_task"]
    assert asyncio.run(module.export_users()) == "export_users"
    assert (bundle / "tests/integration/test_task_export_users.py").exists()


@pytest.mark.parametrize("name", ["long_task", "asyncio", "class", "Export"])
def test_new_task_refuses_names(bundle: Path, name: str) -> None:
    """What the module has already, and what is no name."""
    before = texts(bundle)

    with pytest.raises(LocalCloudError):
        add_task(bundle, name)

    assert texts(bundle) == before
