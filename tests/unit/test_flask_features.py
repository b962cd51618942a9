"""Parts of Flask and its extensions that existing applications use, through the bridge and as events of Lambda."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from cachelib.file import FileSystemCache
from flask import (
    Flask,
    Response,
    current_app,
    flash,
    g,
    get_flashed_messages,
    redirect,
    render_template,
    render_template_string,
    request,
    session,
    stream_template_string,
    url_for,
)
from flask_caching import Cache
from flask_cors import CORS
from flask_login import LoginManager, UserMixin, current_user, login_required, login_user, logout_user
from flask_session import Session
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import FlaskForm
from flask_wtf.csrf import CSRFProtect
from sqlalchemy.pool import StaticPool
from werkzeug.test import Client
from wtforms import FileField, StringField
from wtforms.validators import DataRequired

from tests.flaskr_client import client_of

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of extensions

type Open = Callable[[Flask], Client]


@pytest.fixture(params=["threads", "event loop", "rest", "http_2"])
def open_client(request: pytest.FixtureRequest) -> Open:
    """Opens a client of an application in a mode."""
    return lambda app: client_of(app, request.param)


@pytest.fixture
def app(tmp_path: Path) -> Flask:
    """An application with templates and static files."""
    for name, text in {"templates/page.html": "{{ name | shout }}, {{ year }}", "static/site.css": "a {}"}.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    made = Flask("shop", root_path=str(tmp_path), instance_path=str(tmp_path / "instance"))
    made.secret_key = "for tests"
    made.config["WTF_CSRF_SSL_STRICT"] = False
    return made


def token(page: Any) -> str:
    """The CSRF token in a page."""
    return str(page.text.partition('value="')[2].partition('"')[0])


def test_templates_have_filters_and_context_processors(app: Flask, open_client: Open) -> None:
    """A template gets its values, and special characters are escaped."""
    app.add_template_filter(str.upper, "shout")
    app.context_processor(lambda: {"year": 2026})
    app.add_url_rule("/", "page", lambda: render_template("page.html", name="<b>"))

    page = open_client(app).get("/")

    assert page.text == "&lt;B&gt;, 2026"


def test_template_is_streamed(app: Flask, open_client: Open) -> None:
    """Its parts arrive in order, with the request's context."""
    app.add_url_rule("/", "page", lambda: stream_template_string("{{ request.path }} {{ n }}", n=3))

    assert open_client(app).get("/").text == "/ 3"


def test_static_file_is_served_and_revalidated(app: Flask, open_client: Open) -> None:
    """A client that has the file gets 304."""
    client = open_client(app)

    first = client.get("/static/site.css")
    second = client.get("/static/site.css", headers={"If-None-Match": first.headers["ETag"]})

    assert (first.text, first.mimetype, second.status_code) == ("a {}", "text/css", 304)
    assert client.get("/static/../secret.txt").status_code == 404


def test_flashed_message_is_shown_once(app: Flask, open_client: Open) -> None:
    """It survives a redirect in the session."""

    @app.post("/save")
    def save() -> Any:
        flash("Saved.", "success")
        return redirect(url_for("show"))

    @app.get("/")
    def show() -> Any:
        return get_flashed_messages(with_categories=True)

    client = open_client(app)

    assert client.post("/save", data={"a": "b"}, follow_redirects=True).json == [["success", "Saved."]]
    assert client.get("/").json == []


def test_appcontext_is_torn_down_after_the_response(app: Flask, open_client: Open) -> None:
    """The teardown function sees what the view has put into `g`, also after an error."""
    closed: list[str] = []

    @app.teardown_appcontext
    def close(_error: BaseException | None) -> None:
        closed.append(g.pop("connection", "none"))

    @app.get("/<name>")
    async def view(name: str) -> str:
        g.connection = name
        return str(1 / len(name.removesuffix("0")))

    client = open_client(app)

    assert [client.get(path).status_code for path in ("/a", "/0")] == [200, 500]
    assert closed == ["a", "0"]


def test_url_values_and_defaults_of_blueprints_are_applied(app: Flask, open_client: Open) -> None:
    """`url_value_preprocessor` and `url_defaults` work as in Flask."""

    @app.url_value_preprocessor
    def pull(_endpoint: str | None, values: dict[str, Any] | None) -> None:
        g.language = (values or {}).pop("language", "en")

    @app.url_defaults
    def push(_endpoint: str, values: dict[str, Any]) -> None:
        values.setdefault("language", g.language)

    app.add_url_rule("/<language>/", "index", lambda: url_for("index"))

    assert open_client(app).get("/fr/").text == "/fr/"


def test_response_sets_and_deletes_cookies(app: Flask, open_client: Open) -> None:
    """Cookies arrive with their attributes, several in one response."""

    @app.get("/")
    def index() -> Response:
        response = Response(request.cookies.get("theme", "none"))
        response.set_cookie("theme", "dark", samesite="Lax")
        response.set_cookie("other", "1", httponly=True)
        return response

    client = open_client(app)

    assert [client.get("/").text, client.get("/").text] == ["none", "dark"]


def test_flask_login_keeps_the_user_and_protects_views(app: Flask, open_client: Open) -> None:
    """An anonymous client is redirected to the login page; `remember` survives the end of the session."""
    logins = LoginManager(app)
    logins.login_view = "login"

    class User(UserMixin):  # type: ignore[misc]  # it has no annotations
        id = "7"

    logins.user_loader(lambda _name: User())
    app.add_url_rule("/me", "me", login_required(lambda: current_user.id))
    app.add_url_rule("/logout", "logout", lambda: str(logout_user()))

    @app.get("/login")
    def login() -> str:
        return str(login_user(User(), remember=True))

    client = open_client(app)

    assert client.get("/me").location == "/login?next=%2Fme"
    client.get("/login")
    client.delete_cookie("session")
    assert client.get("/me").text == "7"
    client.get("/logout")
    assert client.get("/me").status_code == 302


def test_flask_wtf_validates_forms_and_their_token(app: Flask, open_client: Open) -> None:
    """A form without the token is rejected; one with it is validated, with its file."""
    CSRFProtect(app)

    class Upload(FlaskForm):  # type: ignore[misc]  # it has no annotations
        name = StringField(validators=[DataRequired()])
        file = FileField()

    @app.route("/", methods=["GET", "POST"])
    def upload() -> Any:
        form = Upload()
        if form.validate_on_submit():
            return {"name": form.name.data, "bytes": len(form.file.data.read())}
        return render_template_string("{{ form.csrf_token }}{{ form.errors }}", form=form)

    client = open_client(app)
    given = {"csrf_token": token(client.get("/"))}

    assert client.post("/", data={"name": "a"}).status_code == 400
    assert "This field is required" in client.post("/", data=given).text
    file = (io.BytesIO(b"\x00\xff" * 10), "a.bin")
    assert client.post("/", data={**given, "name": "é", "file": file}).json == {"name": "é", "bytes": 20}


def test_flask_cors_responds_to_preflight_requests(app: Flask, open_client: Open) -> None:
    """Allowed pages get the headers, others do not."""
    CORS(app, origins=["https://shop.example"], supports_credentials=True)
    app.add_url_rule("/", "index", lambda: "", methods=["GET", "PUT"])
    client = open_client(app)
    asked = {"Access-Control-Request-Method": "PUT"}

    own = client.options("/", headers=asked | {"Origin": "https://shop.example"})
    other = client.get("/", headers={"Origin": "https://other.example"})

    assert own.headers["Access-Control-Allow-Origin"] == "https://shop.example"
    assert "PUT" in own.headers["Access-Control-Allow-Methods"]
    assert "Access-Control-Allow-Origin" not in other.headers


@pytest.fixture
def database(app: Flask) -> Iterator[SQLAlchemy]:
    """Flask-SQLAlchemy on SQLite in memory."""
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {
        "poolclass": StaticPool,
        "connect_args": {"check_same_thread": False},
    }
    made = SQLAlchemy(app)
    yield made
    with app.app_context():
        made.engine.dispose()


def test_flask_sqlalchemy_has_a_session_for_each_request(app: Flask, open_client: Open, database: SQLAlchemy) -> None:
    """Synchronous and asynchronous views share a session with their hooks, and it is removed after the request."""

    class Item(database.Model):  # type: ignore[name-defined,misc]  # made at run time
        id = database.Column(database.Integer, primary_key=True)
        name = database.Column(database.String)

    with app.app_context():
        database.create_all()

    @app.post("/<name>")
    async def add(name: str) -> dict[str, Any]:
        database.session.add(Item(name=name))
        if name == "lost":
            return {}
        database.session.commit()
        return {"name": database.get_or_404(Item, 1).name}

    app.add_url_rule("/", "names", lambda: [item.name for item in Item.query.paginate(per_page=5)])
    client = open_client(app)

    assert client.post("/pen", json={}).json == {"name": "pen"}
    assert client.post("/lost", json={}).json == {}
    assert client.get("/").json == ["pen"]


def test_flask_caching_caches_views_and_functions(app: Flask, open_client: Open) -> None:
    """A view runs once for each query; the cache belongs to the process."""
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    calls: list[str] = []

    @app.get("/")
    @cache.cached(query_string=True)
    def index() -> str:
        calls.append(request.args["q"])
        return f"{len(calls)}"

    client = open_client(app)

    assert [client.get(f"/?q={query}").text for query in "aaba"] == ["1", "1", "2", "1"]


@pytest.mark.parametrize("kind", ["sqlalchemy", "cachelib"])
def test_flask_session_keeps_data_on_the_server(
    app: Flask, open_client: Open, database: SQLAlchemy, tmp_path: Path, kind: str
) -> None:
    """The cookie contains an identifier only, and the data is in the table or in files."""
    app.config |= {"SESSION_TYPE": kind, "SESSION_SQLALCHEMY": database}
    if kind == "cachelib":
        app.config["SESSION_CACHELIB"] = FileSystemCache(str(tmp_path / "sessions"))
    Session(app)
    with app.app_context():
        database.create_all()

    @app.get("/<int:value>")
    def view(value: int) -> list[int]:
        session["values"] = [*session.get("values", []), value]
        return list(session["values"])

    client = open_client(app)

    assert [client.get(f"/{value}").json for value in (1, 2)] == [[1], [1, 2]]
    cookie = client.get_cookie("session")
    assert cookie is not None
    assert len(cookie.value) < 60


def test_commands_of_the_application_run(app: Flask) -> None:
    """`app.cli` is Flask's own, with the application's context."""
    app.cli.command("init-db")(lambda: click.echo(current_app.name))

    result = app.test_cli_runner().invoke(args=["init-db"])

    assert (result.exit_code, result.output) == (0, "shop\n")
