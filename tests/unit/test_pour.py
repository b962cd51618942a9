"""`decant pour`: which application it finds, what it reports, and which routes the functions get."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from decant_cloud.cli import run
from decant_cloud.errors import CommandError
from decant_cloud.findings import Kind
from decant_cloud.pour.environment import unpinned
from decant_cloud.pour.routes import routes_of
from decant_cloud.pour.source_findings import findings, variables
from decant_cloud.pour.target import find_application
from decant_cloud.scaffold.bundle import render
from tests.sample.bundle import empty_wheels

TUTORIAL = [
    ("/auth/register", "auth.register"),
    ("/auth/login", "auth.login"),
    ("/", "blog.index"),
    ("/create", "blog.create"),
    ("/{id}/update", "blog.update"),
    ("/{id}/delete", "blog.delete"),
    ("/hello", "hello"),
    ("/static/{filename+}", "static"),
]
"""Paths and endpoints of Flask's tutorial."""


def rules(pairs: list[tuple[str, str]], methods: list[str] | None = None) -> list[dict[str, Any]]:
    """URL rules as the inspection describes them."""
    return [
        {"path": path, "methods": methods or ["GET"], "endpoint": name, "blueprint": name.rpartition(".")[0]}
        for path, name in pairs
    ]


def routes(split: str) -> dict[str, list[str]]:
    """Routes of the tutorial's functions."""
    return {name: [str(route) for route in own] for name, own in routes_of(rules(TUTORIAL), split, "flaskr").items()}


def test_one_function_has_all_paths() -> None:
    """Two routes are enough."""
    assert routes("one") == {"flaskr": ["ANY /", "ANY /{proxy+}"]}


def test_function_of_a_blueprint_has_its_prefix() -> None:
    """The function of the application has the paths without a blueprint; API Gateway accepts one variable a level."""
    assert routes("blueprint") == {
        "flaskr_blog": ["ANY /", "ANY /create", "ANY /{id}", "ANY /{id}/{proxy+}"],
        "flaskr_auth": ["ANY /auth", "ANY /auth/{proxy+}"],
        "flaskr": ["ANY /hello", "ANY /static", "ANY /static/{proxy+}"],
    }


def test_function_of_an_endpoint_has_its_path_and_unknown_paths_have_a_function() -> None:
    """404 responses are the application's own."""
    found = routes("route")

    assert found["flaskr_auth_login"] == ["ANY /auth/login"]
    assert found["flaskr_blog_update"] == ["ANY /{id}/update"]
    assert {"ANY /{id}", "ANY /{id}/{proxy+}"} <= set(found["flaskr"])


def test_endpoints_with_the_same_path_share_it_by_method() -> None:
    """The first one responds to other methods, with the application's 405."""
    pairs = rules([("/a", "read")]) + rules([("/a", "write")], ["POST", "OPTIONS"]) + rules([("/b", "b")])

    found = routes_of(pairs, "route", "shop")

    assert [str(route) for route in found["shop_read"]] == ["ANY /a"]
    assert [str(route) for route in found["shop_write"]] == ["POST /a"]


CODE = """import sqlite3, threading, time, requests
from celery import Celery
from flask_socketio import SocketIO
from apscheduler.schedulers.background import BackgroundScheduler
from redis import Redis
import psycopg2
SECRET_KEY = "dev"
app.config["SESSION_TYPE"] = "filesystem"
app.config.from_mapping(SECRET_KEY="dev")
URI = "sqlite:///shop.db"
MYSQL = "mysql+pymysql://host/shop"
app.app_context().push()
counts = {}
@app.post("/upload")
def upload():
    request.files["f"].save(os.path.join(FOLDER, "f"))
    open("log.txt", "a").write("x")
    threading.Thread(target=work).start()
    counts["x"] = 1
    return send_file("big.zip")
@app.get("/slow")
async def slow():
    time.sleep(1)
    requests.get("https://example.com")
def increment():
    global total
    open("/tmp/x", "w")
    open("data.txt")
"""


def test_findings_have_their_lines() -> None:
    """Every pattern is reported once, with what to do."""
    found = [(each.line, each.kind) for each in findings(Path("shop.py"), CODE)]

    assert found == [
        (2, Kind.CHANGE),  # Celery
        (3, Kind.CHANGE),  # websockets
        (4, Kind.CHANGE),  # a scheduler
        (5, Kind.DIFFERS),  # Redis
        (6, Kind.DIFFERS),  # psycopg2
        (7, Kind.FIXED),  # SECRET_KEY
        (8, Kind.CHANGE),  # sessions on disk
        (9, Kind.FIXED),  # SECRET_KEY
        (10, Kind.CHANGE),  # SQLite
        (11, Kind.DIFFERS),  # MySQL
        (12, Kind.DIFFERS),  # a pushed context
        (16, Kind.CHANGE),  # an upload on disk
        (17, Kind.CHANGE),  # a file
        (18, Kind.CHANGE),  # a thread
        (19, Kind.CHANGE),  # state in the process
        (20, Kind.DIFFERS),  # a response that may be large
        (23, Kind.DIFFERS),  # a blocking call in an asynchronous view
        (24, Kind.DIFFERS),  # the same
        (26, Kind.CHANGE),  # state in the process
    ]


def test_variables_of_the_environment_are_read() -> None:
    """All forms of reading one are known."""
    code = 'os.environ.get("A")\nos.getenv("B", 1)\nos.environ["C_D"]\nenviron.get("E") or 1\nconfig.get("F")'

    assert variables(code) == {"A", "B", "C_D", "E"}


def test_packages_of_the_layer_lose_their_version() -> None:
    """Others keep it, unless it does not fit."""
    given = ["Flask==2.3.0", "flask-login==0.6.3", "redis", "gunicorn[gevent]>=20; sys_platform == 'linux'"]

    some, changed = unpinned(given, "flask==3.1.3 \\\n", everything=False)
    everything, _ = unpinned(given, "flask==3.1.3 \\\n", everything=True)

    assert (some, changed) == (["flask", *given[1:]], ["Flask==2.3.0"])
    assert everything == ["flask", "flask-login", "redis", "gunicorn[gevent]; sys_platform == 'linux'"]


def project(folder: Path, files: dict[str, str]) -> Path:
    """A project with files."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_application_is_found_in_a_project(tmp_path: Path) -> None:
    """A generic package does not name the application, and an imported name is not a definition."""
    files = {"app/__init__.py": "def create_app(): ...", "microblog.py": "from app import create_app\napp = 1"}
    files |= {"requirements.txt": "flask==3.0 \\\n  --hash=sha256:00\n# note\n-r more.txt\n", "more.txt": "rq\n"}
    folder = project(tmp_path / "micro-blog", files)

    found = find_application(f"{folder}:create_app", None, None)

    assert (found.name, found.target, found.file) == ("micro_blog", "app:create_app", "function")
    assert found.requirements == ("flask==3.0", "rq")


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("nowhere:app", "There is no file or folder"),
        ("shop:create_shop", "No module in .* defines create_shop"),
        ("shop:app", "has several of them: one:app, two:app"),
        ("shop/one.py:app", ""),
    ],
)
def test_application_that_is_not_found(tmp_path: Path, target: str, message: str) -> None:
    """The error says what to write."""
    project(tmp_path / "shop", {"one.py": "app = Flask(__name__)", "two.py": "app = Flask(__name__)"})

    if not message:
        assert find_application(f"{tmp_path}/{target}", "shop", None).module == "one"
        return
    with pytest.raises(CommandError, match=message):
        find_application(f"{tmp_path}/{target}", None, None)


@pytest.fixture
def bundle(tmp_path: Path, use_bundle: Callable[[Path], None]) -> Path:
    """A new bundle, on which commands work."""
    render(tmp_path / "myshop", "myshop", empty_wheels(tmp_path))
    use_bundle(tmp_path / "myshop")
    return tmp_path / "myshop"


@pytest.mark.parametrize(
    ("code", "option", "message"),
    [
        ("import sqlite3\nsqlite3.connect('x')\napp = 1", "--split=route", "--split route is refused"),
        ("app = 1", "--name=hello", "functions/hello exists"),
        ("app = 1", "--name=decant", "cannot be the name of a function"),
    ],
)
def test_refused_application_leaves_the_bundle_as_it_is(
    bundle: Path, capsys: pytest.CaptureFixture[str], code: str, option: str, message: str
) -> None:
    """The reason is in the error, and no file was written."""
    shop = project(bundle.parent / "shop", {"shop.py": code})
    before = {path: path.stat().st_mtime_ns for path in bundle.rglob("*")}

    status = run(["pour", f"{shop}:app", option])

    assert status == 1
    assert message in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in bundle.rglob("*")} == before
