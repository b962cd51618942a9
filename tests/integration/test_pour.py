"""`decant pour`: existing applications respond as under Flask's own server, with each split."""

import re
import shutil
from pathlib import Path

import httpx
import pytest

from decant_cloud.local.postgres import Postgres
from decant_cloud.pytest_plugin import administer
from decant_cloud.scaffold.bundle import render
from decant_cloud.scaffold.functions import remove_function
from tests.loading import ROOT
from tests.parity import Session, facts, flask_server, flaskr, gateway, pour, run_flask
from tests.sample.bundle import empty_wheels

APPS = ROOT / "tests/apps"
SPLITS = ("one", "blueprint", "route")


def inventory(client: httpx.Client) -> list[httpx.Response]:
    """Create, read, order and delete items, with errors and preflight requests."""
    origin = {"Origin": "https://shop.example"}
    return [
        client.get("/"),
        client.post("/items/", json={"name": "pen", "stock": 3}, headers=origin),
        client.post("/items/", json={"name": "pen"}),
        client.post("/items/", json={"name": ""}),
        client.get("/items/"),
        client.get("/items"),
        client.get("/items/?page=1&page_size=1", headers=origin),
        client.get("/items/1"),
        client.get("/items/1/label.txt"),
        client.get("/items/9"),
        client.get("/items/x"),
        client.post("/orders/1", json={"count": 2}),
        client.post("/orders/1", json={"count": 2}),
        client.post("/orders/1", content=b"{", headers={"Content-Type": "application/json"}),
        client.get("/orders/1"),
        client.get("/orders/a/b/history"),
        client.options("/items/1", headers=origin | {"Access-Control-Request-Method": "DELETE"}),
        client.delete("/items/1"),
        client.put("/items/"),
        client.get("/nothing/here"),
    ]


def members(client: httpx.Client) -> list[httpx.Response]:
    """Log in with a form and its token, use the session and the admin interface, and log out."""
    responses = [client.get("/"), client.get("/admin/members/"), client.get("/login")]

    def token() -> str:
        found: list[str] = re.findall(r'csrf_token"?(?: type="hidden")? value="?([^">]+)', responses[-1].text)
        return found[0]

    responses.append(client.post("/login", data={"name": "ada", "password": "correct"}))
    responses.append(client.get("/login"))
    given = {"name": "ada", "csrf_token": token()}
    responses.append(client.post("/login", data=given))
    responses.append(client.post("/login", data=given | {"password": "wrong"}))
    responses.append(client.post("/login", data=given | {"password": "correct"}))
    responses += [client.get("/"), client.get("/admin/"), client.get("/admin/members/"), client.get("/")]
    responses.append(client.post("/logout", data={"csrf_token": token()}))
    responses += [client.get("/"), client.get("/nothing"), client.head("/login"), client.get("/static/missing.css")]
    return responses


def feeds(client: httpx.Client) -> list[httpx.Response]:
    """Asynchronous views, hooks and error handlers."""
    return [
        client.get("/feeds/?words=one+three"),
        client.get("/feeds/news"),
        client.get("/feeds/news", headers={"If-None-Match": '"news"'}),
        client.get("/feeds/much-too-long"),
        client.put("/feeds/news/entries", content=b"\x00\xff"),
        client.put("/feeds/news/entries?x=1", content=b"", headers={"Content-Type": "text/plain"}),
        client.post("/feeds/news"),
        client.get("/lines"),
        client.get("/feeds/"),
        client.get("/other"),
    ]


APPLICATIONS: dict[str, tuple[str, Session]] = {
    "inventory": ("inventory:create_app", inventory),
    "members": ("members:create_app", members),
    "feeds": ("app:app", feeds),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new bundle without functions of its own."""
    scratch = tmp_path_factory.mktemp("pour")
    render(scratch / "shop", "shop", empty_wheels(scratch))
    remove_function(scratch / "shop", "hello")
    lock = scratch / "shop/shared/requirements.txt"  # has all that is needed: nothing is compiled
    lock.write_text(lock.read_text() + "psycopg==3.3.9\npsycopg-binary==3.3.9\n")
    return scratch / "shop"


@pytest.fixture
def bundle(made: Path, tmp_path: Path) -> Path:
    """A copy of the bundle for a test."""
    shutil.copytree(made, tmp_path / "shop")
    return tmp_path / "shop"


@pytest.fixture(scope="module")
def database(postgres: Postgres) -> str:
    """Address of an empty database."""
    administer(postgres, "CREATE DATABASE poured")
    return postgres.url("poured").replace("+asyncpg", "+psycopg")


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("name", APPLICATIONS)
def test_application_responds_as_under_flasks_own_server(bundle: Path, database: str, name: str, split: str) -> None:
    """Status, headers, cookies and bodies of a session are the same."""
    target, session = APPLICATIONS[name]
    variables = {"DATABASE_URL": database, "SECRET_KEY": "test", "STAGE": "test"}

    def prepare() -> None:
        if name != "feeds":
            run_flask(target, APPS / name, "init-db", **variables)

    poured = pour(bundle, APPS / name, "--split", split, "--requirements", "/dev/null")
    assert poured.returncode == 0, poured.stdout + poured.stderr
    prepare()
    with flask_server(target, APPS / name, variables) as client:
        expected = [facts(each) for each in session(client)]
    prepare()
    with gateway(bundle, variables) as client:
        received = [facts(each) for each in session(client)]

    assert received == expected
    assert len(list(bundle.glob(f"functions/{name}*"))) > (split != "one")


@pytest.mark.long
@pytest.mark.timeout(300)  # the first test downloads the source distribution
def test_flasks_tutorial_responds_as_under_flasks_own_server(bundle: Path, tutorial: Path, tmp_path: Path) -> None:
    """The application with SQLite responds the same, in one execution environment."""
    folder = shutil.copytree(tutorial, tmp_path / "tutorial")

    poured = pour(bundle, tutorial, "--requirements", "/dev/null")
    assert poured.returncode == 0, poured.stdout + poured.stderr
    run_flask("flaskr", folder, "init-db")
    with flask_server("flaskr", folder, {}) as client:
        expected = [facts(each) for each in flaskr(client)]
    with gateway(bundle, {}) as client:
        received = [facts(each) for each in flaskr(client)]

    assert received == expected
    assert {each["status"] for each in expected} == {200, 302, 403, 404, 405}


@pytest.mark.long
@pytest.mark.parametrize("split", ["blueprint", "route"])
def test_flasks_tutorial_cannot_be_split(bundle: Path, tutorial: Path, split: str) -> None:
    """The error names the line that opens SQLite, and the bundle is as it was."""
    before = {path: path.stat().st_mtime_ns for path in bundle.rglob("*")}

    poured = pour(bundle, tutorial, "--split", split, "--requirements", "/dev/null")

    assert poured.returncode == 1
    assert f"--split {split} is refused: functions share no memory and no disk" in poured.stderr
    assert "flaskr/db.py:15: SQLite" in poured.stderr
    assert {path: path.stat().st_mtime_ns for path in bundle.rglob("*")} == before
