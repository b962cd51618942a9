"""`decant pour`: existing applications respond as under Flask's own server, with each split."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from decant_cloud.local.postgres import Postgres, free_port
from decant_cloud.pytest_plugin import administer
from decant_cloud.scaffold.bundle import render
from decant_cloud.scaffold.functions import remove_function
from tests.loading import PYTHONPATH, ROOT
from tests.sample.bundle import empty_wheels

APPS = ROOT / "tests/apps"
SPLITS = ("one", "blueprint", "route")
COMPARED = (
    "access-control-allow-origin", "access-control-expose-headers", "allow", "cache-control", "content-language",
    "content-type", "etag", "location", "vary", "www-authenticate", "x-pagination", "x-version",
)  # fmt: skip
"""Headers that the application decides on."""

VARYING = re.compile(
    r'(?<=name="csrf_token" type="hidden" value=")[^"]+|(?<=csrf_token value=")[^"]+|https?://127\.0\.0\.1:\d+'
)
"""Parts of a body or header that differ between two runs under the same server."""

type Session = Callable[[httpx.Client], list[httpx.Response]]


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


def pour(bundle: Path, application: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run `decant pour` in a bundle with the packages of this environment."""
    command = [sys.executable, "-m", "decant_cloud", "pour", str(application), "--python", sys.executable, *options]
    environment = {**os.environ, "DECANT_BUNDLE": str(bundle), "PYTHONPATH": PYTHONPATH}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


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


@contextmanager
def serving(command: list[str], folder: Path, variables: dict[str, str]) -> Iterator[httpx.Client]:
    """A client of a server that runs while the block does; `PORT` in the command is replaced."""
    port = free_port()
    environment = {**os.environ, **variables}
    process = subprocess.Popen([part.replace("PORT", str(port)) for part in command], cwd=folder, env=environment)
    try:
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None
            time.sleep(0.05)
        referer = f"https://127.0.0.1:{port}/"  # which Flask-WTF requires over HTTPS
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"Referer": referer}, timeout=120) as client:
            yield client
    finally:
        process.terminate()
        process.wait(10)


def facts(response: httpx.Response) -> dict[str, Any]:
    """What is compared of a response."""
    headers = {name: VARYING.sub("…", response.headers[name]) for name in COMPARED if name in response.headers}
    if "allow" in headers:
        headers["allow"] = ", ".join(sorted(headers["allow"].split(", ")))  # Werkzeug has them in a set
    cookies = [re.sub("=[^;]*", "", each) for each in response.headers.get_list("set-cookie")]
    request = f"{response.request.method} {response.request.url.raw_path.decode()}"
    body = VARYING.sub("…", response.text)
    return {"request": request, "status": response.status_code, "headers": headers, "cookies": cookies, "body": body}


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("name", APPLICATIONS)
def test_application_responds_as_under_flasks_own_server(bundle: Path, database: str, name: str, split: str) -> None:
    """Status, headers, cookies and bodies of a session are the same."""
    target, session = APPLICATIONS[name]
    variables = {"DATABASE_URL": database, "SECRET_KEY": "test", "STAGE": "test"}
    flask = [sys.executable, "-m", "flask", "--app", target]

    def prepare() -> None:
        if name != "feeds":
            subprocess.run([*flask, "init-db"], cwd=APPS / name, env=os.environ | variables, check=True)

    poured = pour(bundle, APPS / name, "--split", split, "--requirements", "/dev/null")
    assert poured.returncode == 0, poured.stdout + poured.stderr
    prepare()
    with serving([*flask, "run", "--port", "PORT"], APPS / name, variables) as client:
        expected = [facts(each) for each in session(client)]
    prepare()
    gateway = [sys.executable, "-m", "tests.gateway", str(bundle), "PORT"]
    with serving(gateway, bundle, variables | {"PYTHONPATH": PYTHONPATH}) as client:
        received = [facts(each) for each in session(client)]

    assert received == expected
    assert len(list(bundle.glob(f"functions/{name}*"))) > (split != "one")
