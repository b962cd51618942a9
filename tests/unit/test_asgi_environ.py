"""The environ of a request: PEP 3333 to the letter, with every server."""

from typing import Any

import pytest
from flask import Flask, request, url_for
from hypothesis import given
from hypothesis import strategies as st

from decant.asgi import FlaskToAsgi
from decant.asgi.request import environ_of
from tests.bridging import Connection, client, scope


@pytest.mark.parametrize(
    ("root_path", "path", "expected"),
    [
        ("", "/users", ("", "/users")),
        ("/api", "/api/users", ("/api", "/users")),  # a server that gives the whole path, as in ASGI
        ("/api", "/users", ("/api", "/users")),  # one whose proxy stripped the prefix
        ("/api", "/apis", ("/api", "/apis")),  # alike, but another segment
        ("/api/", "/api/users", ("/api", "/users")),
        ("/api", "/api", ("/api", "")),
        ("", "/caf\u00e9", ("", "/caf\u00c3\u00a9")),  # bytes of UTF-8 in the guise of Latin-1
        ("/caf\u00e9", "/caf\u00e9/\u2603", ("/caf\u00c3\u00a9", "/\u00e2\u0098\u0083")),
    ],
)
def test_environ_splits_the_path_where_the_app_is_mounted(root_path: str, path: str, expected: tuple[str, str]) -> None:
    """SCRIPT_NAME is the mount point, PATH_INFO the rest."""
    environ = environ_of(scope(root_path=root_path, path=path))

    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == expected


def test_environ_joins_repeated_headers() -> None:
    """Values of one name are joined with commas, cookies with semicolons, as HTTP/2 clients need it."""
    headers = [(b"accept", b"a"), (b"accept", b"b"), (b"cookie", b"x=1"), (b"cookie", b"y=2")]

    environ = environ_of(scope(headers=headers))

    assert (environ["HTTP_ACCEPT"], environ["HTTP_COOKIE"]) == ("a,b", "x=1; y=2")


@pytest.mark.parametrize(
    ("header", "key"),
    [
        (b"x-forwarded_for", "HTTP_X_FORWARDED_FOR"),
        (b"transfer-encoding", "HTTP_TRANSFER_ENCODING"),
        (b"content-length", "HTTP_CONTENT_LENGTH"),
    ],
    ids=["underscore that could pass for a trusted header", "how the body travelled", "CGI's own key"],
)
def test_environ_leaves_out_headers_that_are_not_the_apps(header: bytes, key: str) -> None:
    """What would deceive the app, or is no longer true, is not passed on."""
    assert key not in environ_of(scope(headers=[(header, b"1")]))


def test_environ_names_content_type_without_prefix() -> None:
    """CONTENT_TYPE is CGI's own; of several, the last holds."""
    environ = environ_of(scope(headers=[(b"content-type", b"text/plain"), (b"content-type", b"text/csv")]))

    assert environ["CONTENT_TYPE"] == "text/csv"
    assert "HTTP_CONTENT_TYPE" not in environ


def test_environ_tells_client_server_and_scheme() -> None:
    """Addresses and ports are text."""
    environ = environ_of(scope(scheme="https", client=("192.0.2.7", 4242), server=("example.org", 8443)))

    assert {key: environ[key] for key in ("wsgi.url_scheme", "REMOTE_ADDR", "REMOTE_PORT")} == {
        "wsgi.url_scheme": "https",
        "REMOTE_ADDR": "192.0.2.7",
        "REMOTE_PORT": "4242",
    }
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("example.org", "8443")


@pytest.mark.parametrize("server", [None, ("/run/app.sock", None)], ids=["unknown", "a Unix socket"])
def test_environ_has_a_server_without_an_address(server: Any) -> None:
    """WSGI requires a name and a port all the same."""
    environ = environ_of(scope(server=server, client=None))

    assert isinstance(environ["SERVER_NAME"], str)
    assert environ["SERVER_PORT"].isdigit()
    assert "REMOTE_ADDR" not in environ


def test_environ_keeps_the_uri_as_it_was_sent() -> None:
    """REQUEST_URI still distinguishes an encoded slash from a real one."""
    environ = environ_of(scope(path="/a/b", raw_path=b"/a%2Fb", query_string=b"q=%20"))

    assert environ["REQUEST_URI"] == "/a%2Fb?q=%20"


@pytest.mark.parametrize(
    ("target", "path"),
    [("http://example.org:8080/users", "/users"), ("http://example.org", "/"), ("*", "/*")],
    ids=["absolute form", "absolute form of the root", "asterisk form"],
)
def test_environ_takes_every_form_of_request_target(target: str, path: str) -> None:
    """PATH_INFO begins with a slash, also for a client that speaks as to a proxy."""
    assert environ_of(scope(path=target))["PATH_INFO"] == path


async def test_content_length_is_that_of_the_real_body() -> None:
    """With no header, or a chunked body, the app still gets the length."""
    app = Flask("bridged")
    app.add_url_rule("/", "view", lambda: f"{request.content_length} {request.data!r}", methods=["POST"])
    connection = Connection(scope(method="POST", headers=[(b"transfer-encoding", b"chunked")]))
    connection.send_body(b"one", more=True)
    connection.send_body(b"", more=True)
    connection.send_body(b"two")

    await connection.run(FlaskToAsgi(app, view_threads=0))

    assert connection.body == b"6 b'onetwo'"


async def test_url_for_builds_links_below_the_mount_point() -> None:
    """Links are right behind a prefix, and with it in the host's name."""
    app = Flask("bridged")
    app.add_url_rule("/users/<name>", "user", lambda name: f"{url_for('user', name=name, _external=True)}")

    async with client(app) as http:
        http._transport.root_path = "/shop"  # type: ignore[attr-defined]  # httpx's ASGITransport
        answer = await http.get("/shop/users/ada")

    assert answer.text == "http://testserver/shop/users/ada"


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), st.text(max_size=0) | st.just("/mount"))
def test_environ_gives_back_every_path(text: str, root: str) -> None:
    """For any text of a path, the bytes that Flask decodes are its own."""
    environ = environ_of(scope(root_path=root, path=f"{root}/{text}"))

    assert environ["PATH_INFO"].encode("latin-1").decode() == f"/{text}"


@given(st.lists(st.tuples(st.sampled_from([b"accept", b"x-one", b"cookie"]), st.binary(max_size=20)), max_size=8))
def test_environ_gives_back_every_header_value(headers: list[tuple[bytes, bytes]]) -> None:
    """For any bytes in the values of a header, they are all there in their order."""
    environ = environ_of(scope(headers=headers))

    for name, separator in ((b"accept", b","), (b"x-one", b","), (b"cookie", b"; ")):
        values = [value for each, value in headers if each == name]
        got = environ.get(f"HTTP_{name.decode().upper().replace('-', '_')}")
        assert (got or "").encode("latin-1") == separator.join(values)


def test_repeated_headers_are_joined_in_order() -> None:
    """Cookies with a semicolon, all others with a comma."""
    headers = [(b"x-a", b"1"), (b"cookie", b"a=1"), (b"x-a", b"2"), (b"cookie", b"b=2"), (b"x-a", b"3")]

    environ = environ_of(scope(headers=headers))

    assert (environ["HTTP_X_A"], environ["HTTP_COOKIE"]) == ("1,2,3", "a=1; b=2")


async def test_too_many_headers_respond_431() -> None:
    """A request with more than 1,000 headers is rejected before the app runs."""
    app, ran = Flask("bridged"), []
    app.before_request(lambda: ran.append(1))
    connection = Connection(scope(headers=[(b"x-a", b"1")] * 1001))
    connection.send_body()

    await connection.run(FlaskToAsgi(app))

    assert (connection.sent[0]["status"], ran) == (431, [])
    assert b"at most 1000 headers" in connection.body
