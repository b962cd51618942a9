"""The texts of a new function: its block in the template, its module, its test and its event."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from decant_cloud.scaffold.routes import Route
from decant_cloud.template.model import logical_id

__all__ = ["Needs", "app", "block", "event", "import_groups", "test"]

PLACEHOLDER_TOKEN = "Bearer not.a.token"  # noqa: S105  # `decant invoke` replaces it with a valid one


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What a function uses, and what its block in the template therefore contains.

    Attributes:
        database: PostgreSQL, by `decant.db`.
        queue: Background tasks, by `delay()`.
        auth: Scope that a token needs, `bookings:read`.
        internet: Other services, by `decant.http`.
    """

    database: bool = False
    queue: bool = False
    auth: str | None = None
    internet: bool = False


def block(name: str, routes: Sequence[Route], needs: Needs, description: str | None = None, module: str = "app") -> str:
    """The function's block in the template.

    Args:
        name: Name of its folder.
        routes: Its routes.
        needs: What it uses.
        description: A sentence; by default, of an example for the first route.
        module: Name of its module without `.py`.
    """
    is_outside = not (needs.database or needs.queue)
    role = "Tasks" if needs.queue else "Database" if needs.database else "Plain"
    events = [f"{{Type: Api, Properties: {{{_api_event(route)}}}}}" for route in routes]
    lines = [
        f"  {logical_id(name)}:",
        "    Type: AWS::Serverless::Function",
        "    DependsOn: Migration",
        "    IgnoreGlobals: [VpcConfig] # it uses no database" if is_outside else "",
        "    Properties:",
        f"      Description: {description or f'{routes[0]} responds with an example.'}",
        f"      CodeUri: functions/{name}/",
        f"      Handler: {module}.handler" if module != "app" else "",
        f"      Role: !GetAtt Access.Outputs.{role}RoleArn",
        "      Layers: [!Ref AuthLayer] # beside the shared one" if needs.auth else "",
        "      AutoPublishCodeSha256: !Ref Release",
        f"      Events: {{Route: {events[0]}}}" if len(events) == 1 else "      Events:",
        *(f"        Route{number}: {each}" for number, each in enumerate(events, 1) if len(events) > 1),
    ]
    return "\n".join(filter(None, lines))


def _api_event(route: Route) -> str:
    path = f'"{route.path}"' if "{" in route.path else route.path
    return f"RestApiId: !Ref Api, Method: {route.method}, Path: {path}"


def import_groups(needs: Needs) -> list[str]:
    """Groups of packages that the function may import, as `infra/import_budget.toml` names them."""
    groups = ["flask", "web", "inputs"]
    if needs.database or needs.queue:
        groups.append("database")
    if needs.queue:
        groups.append("schedules")
    if needs.internet:
        groups.append("http")
    return groups


def app(name: str, route: Route, needs: Needs, task: str | None) -> str:
    """The function's module."""
    used = [
        module
        for module, is_used in (("auth", needs.auth), ("db", needs.database), ("http", needs.internet))
        if is_used
    ]
    imports = [f"from decant import {', '.join(used)}"] if used else []
    imports.append("from decant.web import lambda_handler")
    imports += [f"from domain.tasks import {task}"] if task else []
    body = ['    """Respond with an example."""']
    if needs.auth:
        body.append(f'    await auth.require("{needs.auth}")')
    if needs.database:
        body += ["    async with db.session() as session:", "        await session.connection()  # your queries here"]
    if needs.internet:
        body.append("    http.client()  # your requests here: await http.get_json(url)")
    if task:
        body.append(f"    job = await {task}.delay()")
    response = _response(name, route, lambda variable: variable)
    if task:
        response.append('"task_id": job.id')
    parameters = ", ".join(f"{variable}: str" for variable in route.variables)
    lines = [
        f'"""{route}: responds with an example."""',
        "",
        "from flask import Flask",
        "",
        *imports,
        "",
        "app = Flask(__name__)",
        "",
        "",
        f"@app.{route.decorator}",
        f"async def {name}({parameters}) -> dict[str, str]:",
        *body,
        f"    return {{{', '.join(response)}}}",
        "",
        "",
        "handler = lambda_handler(app)",
        "",
    ]
    return "\n".join(lines)


def test(name: str, route: Route, needs: Needs) -> str:
    """The function's test, with the fixtures of the pytest plug-in."""
    parameters = ["call: Call", "event: ReadEvent"]
    types = ["Call", "ReadEvent"]
    given = f'event("{name}")'
    if needs.auth:
        parameters.append("token: Token")
        types.append("Token")
        given = f'event("{name}", headers={{"Authorization": f"Bearer {{token(\'{needs.auth}\')}}"}})'
    fixtures = [fixture for fixture, is_used in (("database_url", needs.database), ("tasks", needs.queue)) if is_used]
    uses = ["import pytest", ""] if fixtures else []
    marks = [f"@pytest.mark.usefixtures({', '.join(map(json.dumps, fixtures))})"] if fixtures else []
    expected = ", ".join(_response(name, route, lambda variable: f'"{route.example(variable)}"'))
    comparison = (
        f"response.json().items() >= {{{expected}}}.items()" if needs.queue else f"response.json() == {{{expected}}}"
    )
    lines = [
        f'"""{route} through its handler."""',
        "",
        *uses,
        f"from decant_cloud.invocation import {', '.join(types)}",
        "",
        "",
        *marks,
        f"def test_{name}_responds({', '.join(parameters)}) -> None:",
        '    """The event in `events/` gets the example."""',
        f'    response = call("{name}", {given})',
        "",
        "    assert response.status == 200, response.text",
        f"    assert {comparison}",
        "",
    ]
    return "\n".join(lines)


def _response(name: str, route: Route, value: Any) -> list[str]:
    return [f'"message": "{name}"', *(f'"{variable}": {value(variable)}' for variable in route.variables)]


def event(route: Route, needs: Needs) -> dict[str, Any]:
    """An event of API Gateway for the route.

    Source: API Gateway Developer Guide, Lambda proxy integration, input format of a REST API.
    """
    path = route.example_path
    headers = {"Accept": "*/*", "Host": "abcdef1234.execute-api.eu-west-1.amazonaws.com", "User-Agent": "curl/8.7.1"}
    if needs.auth:
        headers["Authorization"] = PLACEHOLDER_TOKEN
    method = "GET" if route.method == "ANY" else route.method
    return {
        "resource": route.path,
        "path": path,
        "httpMethod": method,
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": {name: route.example(name) for name in route.variables} or None,
        "stageVariables": None,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "abcdef1234",
            "stage": "dev",
            "protocol": "HTTP/1.1",
            "httpMethod": method,
            "path": f"/dev{path}",
            "resourcePath": route.path,
            "requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
            "requestTime": "22/Nov/2026:10:00:00 +0000",
            "requestTimeEpoch": 1795341600000,
            "identity": {"sourceIp": "203.0.113.7", "userAgent": "curl/8.7.1"},
        },
        "body": None,
        "isBase64Encoded": False,
    }
