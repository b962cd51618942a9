"""Pages of lists, and conditional requests."""

from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import pytest
from flask import Flask

from decant.web import etag, lambda_handler, page
from tests.loading import Context, rest_request

pytestmark = pytest.mark.usefixtures("kept_logs")


def make_app() -> Flask:
    """A list of numbers, and a resource whose version is 1."""
    app = Flask("resources")

    @app.get("/numbers")
    async def numbers() -> tuple[list[int], int, dict[str, str]]:
        from flask import request

        after = int(request.args.get("after", 0))
        shown, links = page(range(after + 1, min(after + 4, 6)), 2, after=lambda number: number)
        return shown, 200, links

    @app.get("/room")
    async def read() -> tuple[dict[str, int], int, dict[str, str]]:
        return {"version": 1}, 200, etag("room", 1)

    @app.patch("/room")
    async def change() -> tuple[dict[str, int], int, dict[str, str]]:
        etag("room", 1)
        return {"version": 2}, 200, etag("room", 2, changed=True)

    return app


def send(method: str, path: str, query: str = "", **headers: str) -> tuple[int, dict[str, str], str]:
    """Status, headers and body of a response."""
    event: dict[str, Any] = rest_request(path, method, **headers)
    event["multiValueQueryStringParameters"] = parse_qs(query) or None
    response = lambda_handler(make_app())(event, Context())
    return response["statusCode"], response["headers"], response["body"]


def test_pages_are_linked() -> None:
    """Each page names the next, with the other parameters of the request; the last page names none."""
    bodies, query = [], "kind=odd+even&after=0"
    while query:
        _, headers, body = send("GET", "/numbers", query)
        bodies.append(body.strip())
        link = headers.get("link", "")
        query = link.partition(">")[0].lstrip("<?")
        assert not link or link.endswith('>; rel="next"')
        assert not query or parse_qs(query)["kind"] == ["odd even"]

    assert bodies == ["[1,2]", "[3,4]", "[5]"]


def test_link_is_relative_to_the_list() -> None:
    """It works below any stage path."""
    _, headers, _ = send("GET", "/numbers")
    target = headers["link"].partition(">")[0].lstrip("<")

    assert urlsplit(urljoin("https://api.example.com/dev/numbers", target)).path == "/dev/numbers"


def test_get_with_the_version_is_not_modified() -> None:
    """The response has no body, and the headers of the version."""
    status, headers, _ = send("GET", "/room")
    tag = headers["etag"]

    assert (status, headers["cache-control"]) == (200, "private, no-cache")
    status, headers, body = send("GET", "/room", If_None_Match=f'"other", W/{tag}')
    assert (status, headers["etag"], body) == (304, tag, "")
    assert send("GET", "/room", If_None_Match='"other"')[0] == 200


@pytest.mark.parametrize(
    ("match", "status"), [(None, 428), ('"other"', 412), ("{tag}", 200), ('"other", {tag}', 200), ("*", 200)]
)
def test_change_needs_the_version(match: str | None, status: int) -> None:
    """A change of an unknown version would overwrite changes of others."""
    tag = send("GET", "/room")[1]["etag"]
    headers = {} if match is None else {"If_Match": match.format(tag=tag)}

    changed = send("PATCH", "/room", **headers)

    assert changed[0] == status
    assert (changed[1].get("etag", tag) != tag) == (status == 200)
