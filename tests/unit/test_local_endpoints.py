"""The curl lines that the local cloud prints."""

import json
from pathlib import Path
from typing import Any

import pytest

from decant_cloud.local.endpoints import Endpoint, endpoints
from decant_cloud.template.model import Template
from tests.loading import ROOT

API = "http://127.0.0.1:4566/api"


def endpoint(method: str, path: str, **event: Any) -> Endpoint:
    """A route with an event of its own."""
    return Endpoint(function="Function", method=method, path=path, event=event)


def test_get_line_has_the_events_query() -> None:
    """Query parameters of the event stand in the address, quoted for the shell."""
    line = endpoint("GET", "/async", queryStringParameters={"seconds": "0.5"}).curl(API, [])

    assert line == f"curl -s '{API}/async?seconds=0.5'"


def test_post_line_has_the_events_body() -> None:
    """The body of the event is sent as JSON."""
    line = endpoint("POST", "/start-task", body='{"seconds": 1}').curl(API, [])

    assert line == f"curl -s {API}/start-task -H 'Content-Type: application/json' -d '{{\"seconds\": 1}}'"


def test_post_line_without_body_says_the_method() -> None:
    """A POST with nothing to send is still a POST."""
    assert endpoint("POST", "/start-task").curl(API, []) == f"curl -s {API}/start-task -X POST"


def test_other_methods_are_said() -> None:
    """A DELETE is written as one."""
    assert endpoint("DELETE", "/users").curl(API, []) == f"curl -s -X DELETE {API}/users"


def test_route_that_takes_a_token_has_one_minted() -> None:
    """The line carries a token of the local cloud's own, not the event's."""
    line = endpoint("GET", "/tasks", headers={"Authorization": "Bearer not.a.token"}).curl(API, [])

    assert line == f'curl -s {API}/tasks -H "Authorization: Bearer $(make -s token)"'


def test_condition_and_media_type_are_the_events() -> None:
    """A change has the version that it changes, and the type of its body."""
    headers = {"If-Match": "*", "Content-Type": "application/merge-patch+json"}

    line = endpoint("PATCH", "/rooms/1", headers=headers, body="{}").curl(API, [])

    assert line == (
        f"curl -s -X PATCH {API}/rooms/1 -H 'If-Match: *' -H 'Content-Type: application/merge-patch+json' -d '{{}}'"
    )


def test_email_address_is_new_each_time() -> None:
    """What must be unique is, so that the line works a second time."""
    line = endpoint("POST", "/users", body='{"email": "ada@example.com"}').curl(API, [])

    assert "ada+'$(date +%s)-$RANDOM'@example.com" in line


@pytest.mark.parametrize(("path", "parameter"), [("/users", "user_id"), ("/start-task", "task_id")])
def test_id_in_a_path_is_made_by_the_route_that_makes_it(path: str, parameter: str) -> None:
    """Where a POST makes such an id, the line calls it first."""
    maker = endpoint("POST", path, body="{}")

    line = endpoint("GET", f"/things/{{{parameter}}}").curl(API, [maker])

    assert line.startswith(f"curl -s {API}/things/$({maker.curl(API, [])} | grep -oE '")


def test_other_path_parameters_are_the_events() -> None:
    """Without such a route, the event names the missing value."""
    line = endpoint("GET", "/pages/{name}", pathParameters={"name": "first"}).curl(API, [])

    assert line == f"curl -s {API}/pages/first"


def test_every_route_of_the_template_is_an_endpoint() -> None:
    """The template's routes are found with their events."""
    found = endpoints(Template(ROOT))

    events = {json.loads(path.read_text()).get("resource") for path in Path(ROOT / "events").glob("*.json")}
    assert {each.path for each in found} >= {path for path in events if path}


@pytest.mark.parametrize("text", [None, "{", "[]"], ids=["no file", "no JSON", "no object"])
def test_route_without_a_valid_event_is_listed_with_an_empty_one(tmp_path: Path, text: str | None) -> None:
    """`make up`, `status` and `serve` print the routes also while an event is missing or half written."""
    api = {"Type": "Api", "Properties": {"Path": "/users", "Method": "get"}}
    properties = {"CodeUri": "functions/users_list/", "Events": {"Api": api}}
    document = {"Resources": {"UsersList": {"Type": "AWS::Serverless::Function", "Properties": properties}}}
    if text is not None:
        (tmp_path / "events").mkdir()
        (tmp_path / "events/users_list.json").write_text(text)

    [found] = endpoints(Template(tmp_path, document))

    assert found.curl(API, []) == f"curl -s {API}/users"
