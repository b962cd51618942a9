"""What `decant new` and `decant remove` write."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from decant_cloud.checks import deploy
from decant_cloud.checks.layout import disagreements
from decant_cloud.checks.uses import misdefined
from decant_cloud.errors import CommandError
from decant_cloud.openapi.command import write_document
from decant_cloud.scaffold.bundle import add_admin, demo_folder, make, render
from decant_cloud.scaffold.demo_files import ADMIN
from decant_cloud.scaffold.function_files import Needs
from decant_cloud.scaffold.functions import add_function, remove_function
from decant_cloud.scaffold.limits import write_limits
from decant_cloud.scaffold.queues import add_queue
from decant_cloud.scaffold.routes import Route
from decant_cloud.scaffold.tasks import add_task
from decant_cloud.template.model import Template, load_template
from tests.sample.bundle import empty_wheels

NESTED_OR_LOCKED = re.compile(r"infra/.*\.yaml|.*/(requirements|dev|auth|docs)\.txt|.*\.whl")
ALL_NEEDS = Needs(database=True, queue=True, auth="bookings:read", internet=True)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two files with the names of the wheels."""
    return empty_wheels(tmp_path_factory.mktemp("wheels"))


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory, wheels: list[Path]) -> Path:
    """A new bundle, written once for this module."""
    folder = tmp_path_factory.mktemp("rendered") / "myshop"
    render(folder, "myshop", wheels)
    return folder


@pytest.fixture
def bundle(tmp_path: Path, rendered: Path) -> Path:
    """A new bundle for this test alone."""
    return shutil.copytree(rendered, tmp_path / "myshop")


@pytest.fixture
def in_bundle(bundle: Path, use_bundle: Callable[[Path], None]) -> Path:
    """The new bundle as the one that commands work on."""
    use_bundle(bundle)
    return bundle


def texts(bundle: Path) -> dict[str, bytes]:
    """The content of every file but bytecode."""
    files = (path for path in bundle.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {str(path.relative_to(bundle)): path.read_bytes() for path in files}


def test_new_bundle_is_small(bundle: Path) -> None:
    """A new bundle has at most 50 files, and 1,500 lines without nested stacks and lock files."""
    files = texts(bundle)

    lines = sum(text.count(b"\n") for name, text in files.items() if not NESTED_OR_LOCKED.fullmatch(name))
    assert len(files) <= 50
    assert lines <= 1500


def test_new_bundle_has_its_own_name_and_nothing_of_the_demo(bundle: Path) -> None:
    """Stacks, roles and logs of two bundles in one account are different ones."""
    own = "".join(
        text.decode() for name, text in texts(bundle).items() if name.endswith((".yaml", ".yml", ".toml", ".json"))
    )

    assert re.findall(r"\bdecant-(?:\$|dev|prod|built)|SERVICE: decant|\bdecant_app_\$", own) == []
    assert (
        re.findall(r"/users|users_|Users[A-Z]|async_response|fetch[-_]data|FetchData|start[-_]task|long_task", own)
        == []
    )
    assert 'name = "myshop"' in (bundle / "pyproject.toml").read_text()


def test_new_bundle_agrees_with_its_template(bundle: Path) -> None:
    """The new bundle has `GET /hello`, the authorizer, the worker, dead letters, the sweeper and migrations."""
    template = Template(bundle)

    assert disagreements(bundle) == []
    assert {each.name for each in template.functions().values()} == {
        "api_docs",
        "authorizer",
        "dead_letters",
        "hello",
        "migrate",
        "task_sweeper",
        "task_worker",
    }
    assert template.queues() == ["DefaultQueue", "DeadLetterQueue"]


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_stages_of_a_new_bundle_can_be_deployed(in_bundle: Path, stage: str) -> None:
    """Also after a function of each kind was added."""
    add_function(in_bundle, Route.parse("GET /rooms"), None, ALL_NEEDS)
    add_function(in_bundle, Route.parse("GET /rooms/{room_id}"), None, Needs(internet=True))
    add_function(in_bundle, Route.parse("POST /rooms"), None, Needs(database=True))
    add_queue(in_bundle, "reports")
    add_admin(in_bundle)

    assert disagreements(in_bundle) == []
    assert deploy.findings(stage) == []


def test_new_bundle_pins_its_wheels_by_hash(bundle: Path) -> None:
    """Both lock files name the wheels in the bundle."""
    for lock, packages in (("shared/requirements.txt", 1), ("requirements/dev.txt", 2)):
        text = (bundle / lock).read_text()

        assert text.startswith("--find-links ")
        pins = re.findall(r"^decant-\w+(?:\[auth\])?==0\.1\.0 \\\n    --hash=sha256:", text, re.MULTILINE)
        assert len(pins) == packages


def test_demo_bundle_is_this_repository(tmp_path: Path, wheels: list[Path]) -> None:
    """With --demo, the functions, their events and tests, the domain and the template are those of this repository."""
    render(tmp_path / "decant", "decant", wheels, is_demo=True)

    patterns = ("functions/**/*.py", "events/*.json", "shared/domain/*.py", "tests/functions/*.py", "template.yaml")
    made, committed = (
        {str(path.relative_to(root)): path.read_bytes() for pattern in patterns for path in root.glob(pattern)}
        for root in (tmp_path / "decant", demo_folder())
    )
    assert made == committed


def test_new_bundle_is_a_repository_with_one_commit(tmp_path: Path, wheels: list[Path]) -> None:
    """Everything in the folder is committed."""
    make(tmp_path / "shop2", wheels)

    git = ["git", "-C", str(tmp_path / "shop2")]
    commits = subprocess.run([*git, "log", "--format=%s"], capture_output=True, text=True, check=True).stdout
    changes = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=True).stdout
    assert (commits, changes) == ("Create the bundle shop2\n", "")


@pytest.mark.parametrize("name", ["my-shop", "MyShop", "2shops", "x", "a" * 21])
def test_new_bundle_rejects_a_name_that_cannot_name_resources(tmp_path: Path, wheels: list[Path], name: str) -> None:
    """The error shows what a name looks like, and nothing is written."""
    with pytest.raises(CommandError, match="as myshop"):
        make(tmp_path / name, wheels)

    assert list(tmp_path.iterdir()) == []


NEEDS = [
    pytest.param(Needs(), id="plain"),
    pytest.param(Needs(database=True), id="database"),
    pytest.param(Needs(queue=True), id="queue"),
    pytest.param(Needs(auth="bookings:read"), id="auth"),
    pytest.param(Needs(internet=True), id="internet"),
    pytest.param(ALL_NEEDS, id="all"),
]


@pytest.mark.parametrize("needs", NEEDS)
def test_new_function_has_a_block_of_at_most_12_lines(bundle: Path, needs: Needs) -> None:
    """A route is one block in one place of the template, and a line of import budgets."""
    before = texts(bundle)

    add_function(bundle, Route.parse("GET /rooms/{room_id}"), None, needs)

    added = len((bundle / "template.yaml").read_text().splitlines()) - before["template.yaml"].count(b"\n")
    assert added <= 13  # with the blank line after it
    assert disagreements(bundle) == []


@pytest.mark.parametrize("needs", NEEDS)
def test_remove_function_reverts_new_function(bundle: Path, needs: Needs) -> None:
    """Every file is as it was."""
    before = texts(bundle)

    add_function(bundle, Route.parse("GET /rooms"), None, needs)
    added = set(texts(bundle)) - set(before)
    remove_function(bundle, "rooms_list")

    assert added == {"functions/rooms_list/app.py", "events/rooms_list.json", "tests/functions/test_rooms_list.py"}
    assert texts(bundle) == before


def test_remove_function_keeps_the_gateway_of_another_function(bundle: Path) -> None:
    """A NAT gateway stays while a function with database and internet needs it."""
    needs = Needs(database=True, internet=True)
    add_function(bundle, Route.parse("GET /rooms"), None, needs)
    add_function(bundle, Route.parse("POST /rooms"), None, needs)

    remove_function(bundle, "rooms_list")

    lines = [line.strip() for line in (bundle / "samconfig.toml").read_text().splitlines() if "Nat=" in line]
    assert lines == ['"Nat=one", # for RoomsCreate'] * 2


@pytest.mark.parametrize(
    ("route", "name"),
    [
        ("GET /rooms", "rooms_list"),
        ("GET /rooms/{room_id}", "rooms_get"),
        ("POST /rooms", "rooms_create"),
        ("PUT /rooms/{room_id}", "rooms_replace"),
        ("PATCH /rooms/{room_id}", "rooms_update"),
        ("DELETE /rooms/{room_id}", "rooms_delete"),
        ("POST /rooms/{room_id}/cancel", "rooms_cancel"),
        ("ANY /{proxy+}", "proxy"),
    ],
)
def test_new_function_is_named_for_its_route(route: str, name: str) -> None:
    """As the functions of the demo are."""
    assert Route.parse(route).name == name


@pytest.mark.parametrize(
    ("route", "name", "message"),
    [
        ("GET rooms", None, "is not a route. Write it as"),
        ("GET /hello", "greeting", "The route GET /hello exists"),
        ("GET /other", "hello", "functions/hello exists. Choose another name with --name"),
        ("GET /other", "handler", "is no name for it"),
        ("GET /rooms/{id}/beds", "beds", "write {room_id}"),
    ],
)
def test_new_function_says_what_to_do_when_it_cannot_be_added(
    bundle: Path, route: str, name: str | None, message: str
) -> None:
    """Nothing is written then."""
    add_function(bundle, Route.parse("GET /rooms/{room_id}"), None, Needs())
    before = texts(bundle)

    with pytest.raises(CommandError, match=re.escape(message)):
        add_function(bundle, Route.parse(route), name, Needs())

    assert texts(bundle) == before


def test_remove_function_of_the_demo_removes_its_parameters_and_limits(tmp_path: Path, wheels: list[Path]) -> None:
    """Parameters, outputs and limits to which only the function referred go with it."""
    render(tmp_path, "decant", wheels, is_demo=True)

    remove_function(tmp_path, "start_task")
    remove_function(tmp_path, "fetch_data")

    template = load_template(tmp_path / "template.yaml")
    assert not {"TaskRate", "FetchDataUrl"} & template["Parameters"].keys()
    edge = (tmp_path / "infra/edge.yaml").read_text()
    assert "start-task" not in edge + (tmp_path / "template.yaml").read_text()


def test_remove_function_removes_its_layer(bundle: Path) -> None:
    """The layer of the page of the documentation goes with its function, from all files that name it."""
    removed = remove_function(bundle, "api_docs")

    files = ("template.yaml", "shared/layers.toml", "infra/import_budget.toml", "pyproject.toml")
    left = "".join((bundle / name).read_text() for name in files)
    assert bundle / "shared/docs.txt" in removed
    assert not re.search(r"DocsLayer|docs\.txt|flask-swagger-ui", left)
    assert "AuthLayer" in Template(bundle).document["Resources"]
    assert disagreements(bundle) == []


def test_pages_are_open_also_after_all_others_were_removed(bundle: Path) -> None:
    """The API's definition goes with its last open path, and comes back with the console's."""
    before = Template(bundle).open_paths()
    remove_function(bundle, "api_docs")
    without = (bundle / "template.yaml").read_text()
    add_admin(bundle)

    assert before == ["/docs", "/docs/{name}"]
    assert "DefinitionBody" not in without
    assert Template(bundle).open_paths() == ["/console", "/console/{name}"]


def test_route_for_every_method_takes_the_definition_out(bundle: Path) -> None:
    """SAM does not merge it with a definition; the admin routes do not bring the definition back."""
    add_function(bundle, Route.parse("ANY /{proxy+}"), None, Needs())
    add_admin(bundle)

    assert "DefinitionBody" not in (bundle / "template.yaml").read_text()
    assert list(misdefined(Template(bundle))) == []


def test_remove_function_lists_the_functions_when_there_is_none_of_the_name(bundle: Path) -> None:
    """The error names what could have been meant."""
    with pytest.raises(CommandError, match=r"There is no function hallo.*hello"):
        remove_function(bundle, "hallo")


def test_document_of_a_new_bundle_follows_its_routes(in_bundle: Path) -> None:
    """The page of the documentation is there from the beginning, with its layer and the bundle's routes."""
    document = in_bundle / "functions/api_docs/openapi.json"
    before = list(json.loads(document.read_text())["paths"])

    add_function(in_bundle, Route.parse("GET /rooms"), None, Needs())
    write_document(in_bundle)

    assert "DocsLayer" in Template(in_bundle).document["Resources"]
    assert (before, list(json.loads(document.read_text())["paths"])) == (["/hello"], ["/hello", "/rooms"])


def test_admin_routes_have_their_limits(bundle: Path) -> None:
    """`decant new admin` adds the demo's routes, and removing them reverts it."""
    before = texts(bundle)

    add_admin(bundle)
    with_admin = texts(bundle)
    for name in ADMIN:
        remove_function(bundle, name)

    assert b"/tasks/{task_id}/revoke/POST" in with_admin["infra/edge.yaml"]
    assert b"          /console: {get: {security:" in with_admin["template.yaml"]
    assert {name for name, text in texts(bundle).items() if before.get(name) != text} <= {
        "tests/functions/test_admin.py",
        "tests/functions/test_admin_console.py",
    }


def test_limits_of_callers_follow_the_decorator(bundle: Path) -> None:
    """A route with the decorator is listed once in the usage plan and in the firewall's rule, and not without it."""
    add_function(bundle, Route.parse("POST /rooms"), None, Needs())
    app, edge = bundle / "functions/rooms_create/app.py", bundle / "infra/edge.yaml"
    before, text = edge.read_text(), app.read_text()

    app.write_text(text.replace("async def", "@limit_per_caller\nasync def"))
    written = [write_limits(bundle), write_limits(bundle)]
    listed = edge.read_text()
    app.write_text(text)
    write_limits(bundle)

    assert written == [[edge], []]
    assert (listed.count("/rooms/POST: {"), len(re.findall(r"RegexString: /\(.*\brooms\b.*\)", listed))) == (1, 1)
    assert edge.read_text() == before


def test_new_queue_takes_at_most_20_lines(bundle: Path) -> None:
    """A queue is one block in one place, beside its worker."""
    before = (bundle / "template.yaml").read_text()

    add_queue(bundle, "reports")

    added = (bundle / "template.yaml").read_text().splitlines()
    start = added.index("  ReportsQueue:")
    end = next(i for i in range(start, len(added)) if not added[i])
    assert end - start <= 20
    assert "reports=${ReportsQueue}" in "\n".join(added)
    assert "Reports" not in before
    assert disagreements(bundle) == []


@pytest.mark.parametrize(
    ("schedule", "line"),
    [("300", "schedule=every(300)"), ("0 3 * * *", 'schedule=cron("0 3 * * *")')],
)
def test_new_schedule_writes_a_task(bundle: Path, schedule: str, line: str) -> None:
    """Seconds and fields of cron are accepted."""
    add_task(bundle, "clean_up", schedule)

    text = (bundle / "shared/domain/tasks.py").read_text()
    assert f"@task({line}, max_retries=3, retry_backoff=True)\nasync def clean_up" in text
    assert '__all__ = ["clean_up", "greet"]' in text


@pytest.mark.parametrize("schedule", ["soon", "0", "1.5", "* * *"])
def test_new_schedule_rejects_what_is_no_schedule(bundle: Path, schedule: str) -> None:
    """The error shows both forms."""
    with pytest.raises(CommandError, match="Write whole seconds, as 300, or five fields of cron"):
        add_task(bundle, "clean_up", schedule)


def test_needs_are_the_options_of_the_command() -> None:
    """`decant new function` has an option for each."""
    from decant_cloud.cli import cli

    options = {parameter.name for parameter in cli.commands["new"].commands["function"].params}  # type: ignore[attr-defined]

    assert asdict(ALL_NEEDS).keys() <= options
