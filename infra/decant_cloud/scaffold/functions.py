"""Add a function with a route, and remove a function: folder, event, test, block in the template and import budget."""

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from decant_cloud.errors import CommandError
from decant_cloud.scaffold import template_text
from decant_cloud.scaffold.files import check_name, json_text, write
from decant_cloud.scaffold.routes import Route
from decant_cloud.scaffold.tasks import startable_task
from decant_cloud.template.model import Route as ApiRoute
from decant_cloud.template.model import Template, logical_id

__all__ = [
    "BUDGETS",
    "EDGE",
    "Needs",
    "add_function",
    "remove_function",
    "with_budget",
    "with_limit",
    "without_function",
    "without_limit",
]

BUDGETS = "infra/import_budget.toml"
EDGE = "infra/edge.yaml"
PLACEHOLDER_TOKEN = "Bearer not.a.token"  # noqa: S105  # `decant invoke` replaces it with a valid one

STAGES = "samconfig.toml"
_NAT = re.compile(r'^ +"Nat=one", # for .*$', re.MULTILINE)
_LIMITED_PATHS = re.compile(r"^( +RegexString: /\()(.*)(\)/\?\$)$", re.MULTILINE)
"""The firewall's regular expression of the paths whose callers are limited."""


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


def add_function(root: Path, route: Route, name: str | None, needs: Needs) -> list[Path]:
    """Add a function with a route, which passes all checks and its test.

    Args:
        root: Folder of the bundle.
        route: Its route.
        name: Name of its folder; derived from the route when it is None.
        needs: What it uses.

    Returns:
        Every file that was written.

    Raises:
        CommandError: The name or the route is taken or invalid; nothing was written.
    """
    name = name or route.name
    check_name(name)
    if (root / f"functions/{name}").exists():
        raise CommandError(f"functions/{name} exists. Choose another name with --name.")
    template, model = root / "template.yaml", Template(root)
    if logical_id(name) in model.document["Resources"]:
        raise CommandError(f"template.yaml has a resource {logical_id(name)}. Choose another name with --name.")
    route.check_beside(Route(method=each.method.upper(), path=each.path) for each in model.routes())
    task = startable_task(root) if needs.queue else None
    text = template.read_text()
    changed = {
        template: template_text.insert_route(text, _block(name, route, needs)),
        root / BUDGETS: with_budget((root / BUDGETS).read_text(), name, _groups(needs)),
    }
    if needs.internet and (needs.database or needs.queue):
        changed[root / STAGES] = _with_nat((root / STAGES).read_text(), logical_id(name))
    new = {
        root / f"functions/{name}/app.py": _app(name, route, needs, task),
        root / f"events/{name}.json": json_text(_event(route, needs)),
        root / f"tests/functions/test_{name}.py": _test(name, route, needs),
    }
    return write(new, changed)


def remove_function(root: Path, name: str) -> list[Path]:
    """Remove a function: all that `add_function` adds, and the parameters of the template that only it used.

    Returns:
        Every file that was changed or removed; nothing else refers to the function.

    Raises:
        CommandError: There is no function of this name.
    """
    folder = root / f"functions/{name}"
    if not folder.is_dir():
        known = ", ".join(sorted(path.parent.name for path in root.glob("functions/*/app.py")))
        raise CommandError(f"There is no function {name}. The bundle has {known}.")
    template = root / "template.yaml"
    changed = {template: without_function(template.read_text(), logical_id(name))}
    budgets = root / BUDGETS
    changed[budgets] = re.sub(rf"^{name} = .*\n", "", budgets.read_text(), flags=re.MULTILINE)
    changed[root / STAGES] = _without_nat((root / STAGES).read_text(), logical_id(name))
    edge = root / EDGE
    for route in Template(root).function(name).routes:
        changed[edge] = without_limit(changed.get(edge) or edge.read_text(), route)
    changed = {path: text for path, text in changed.items() if text != path.read_text()}
    removed = [folder, root / f"events/{name}.json", *root.glob(f"tests/functions/test_{name}.py")]
    for path, text in changed.items():
        path.write_text(text)
    for path in removed:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    return [*changed, *removed]


def without_function(text: str, function: str) -> str:
    """The template's text without a function, its resources, and what only it referred to.

    Args:
        text: The template.
        function: Logical id.
    """
    start, end = template_text.section_of(text, "Resources")
    names = re.findall(rf"^  ({function}|{function}(?:Alarms|Permission)):", text[start:end], re.MULTILINE)
    removed = "".join(template_text.block(text, name) for name in names)
    for quoted, plain in re.findall(r'\bPath: (?:"([^"]+)"|([^\s",}]+))', removed):
        path = quoted or plain
        escaped = re.escape("/~1" + path.removeprefix("/").replace("/", "~1"))
        limit = re.search(rf"^ +- {{ResourcePath: {escaped}, [^}}]*}}\n", text, re.MULTILINE)
        if limit is not None:
            removed += limit[0]
            text = text.replace(limit[0], "")
    for name in names:
        text = template_text.drop(text, name)
    start, end = template_text.section_of(text, "Outputs")
    for output in re.findall(r"^  (\w+):", text[start:end], re.MULTILINE):
        if re.search(rf"!(Ref|GetAtt) {function}\b", template_text.block(text, output, "Outputs")):
            text = template_text.drop(text, output, "Outputs")
    text = re.sub(rf", !Ref {function}\b|!Ref {function}, ", "", text)
    return template_text.drop_unused_parameters(text, removed)


def with_budget(text: str, name: str, groups: list[str]) -> str:
    """The text of the import budgets with a line for a function.

    Raises:
        CommandError: The file has no table `[functions]`.
    """
    table = re.search(r"^\[functions\]\n(.+\n)+", text, re.MULTILINE)
    if table is None:
        raise CommandError(f"{BUDGETS} has no table [functions].")
    return f"{text[: table.end()]}{name} = {json.dumps(groups)}\n{text[table.end() :]}"


def with_limit(text: str, route: ApiRoute) -> str:
    """The text of `infra/edge.yaml` with the limit per caller for a route."""
    limit = f"{route.path}/{route.method}: {{RateLimit: !Ref ApiKeyCallerRate, BurstLimit: !Ref CallerRate}}"
    text = re.sub(r"^( +)Throttle:(?: {})?( #.*)?$", rf"\1Throttle:\2\n\1  {limit}", text, count=1, flags=re.MULTILINE)

    def add(match: re.Match[str]) -> str:
        return (
            f"{match[1]}{'|'.join(dict.fromkeys([*filter(None, match[2].split('|')), _pattern(route.path)]))}{match[3]}"
        )

    return _LIMITED_PATHS.sub(add, text)


def without_limit(text: str, route: ApiRoute) -> str:
    """The text of `infra/edge.yaml` without the limit per caller for a route."""
    text = re.sub(rf"^ +{re.escape(route.path)}/{route.method}: {{.*}}\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"^( +)Throttle:( #.*)?\n(?!\1 )", r"\1Throttle: {}\2\n", text, flags=re.MULTILINE)
    is_limited = re.search(rf"^ +{re.escape(route.path)}/[A-Z]+: {{", text, re.MULTILINE) is not None

    def remove(match: re.Match[str]) -> str:
        kept = [each for each in match[2].split("|") if is_limited or each != _pattern(route.path)]
        return f"{match[1]}{'|'.join(kept)}{match[3]}"

    return _LIMITED_PATHS.sub(remove, text)


def _with_nat(text: str, function: str) -> str:
    """The text of `samconfig.toml` with a NAT gateway for a function that uses database and internet.

    Outside of the database's network a function needs none; inside, it has no other way to the internet.
    """
    if _NAT.search(text):
        return _NAT.sub(rf"\g<0>, {function}", text)
    return re.sub(r"^( +)\"Database=aurora\",.*\n", rf'\g<0>\1"Nat=one", # for {function}\n', text, flags=re.MULTILINE)


def _without_nat(text: str, function: str) -> str:
    text = re.sub(rf'^ +"Nat=one", # for {function}\n', "", text, flags=re.MULTILINE)
    return _NAT.sub(lambda line: re.sub(rf", {function}\b|\b{function}, ", "", line[0]), text)


def _pattern(path: str) -> str:
    """The path's alternative in the firewall's regular expression."""
    return re.sub(r"{\w+\+?}", "[^/]+", path.removeprefix("/"))


def _block(name: str, route: Route, needs: Needs) -> str:
    """The function's block in the template."""
    is_outside = not (needs.database or needs.queue)
    role = "Tasks" if needs.queue else "Database" if needs.database else "Plain"
    path = f'"{route.path}"' if "{" in route.path else route.path
    event = f"RestApiId: !Ref Api, Method: {route.method}, Path: {path}"
    lines = [
        f"  {logical_id(name)}:",
        "    Type: AWS::Serverless::Function",
        "    DependsOn: Migration",
        "    IgnoreGlobals: [VpcConfig] # it uses no database" if is_outside else "",
        "    Properties:",
        f"      Description: {route} responds with an example.",
        f"      CodeUri: functions/{name}/",
        f"      Role: !GetAtt Access.Outputs.{role}RoleArn",
        "      Layers: [!Ref AuthLayer] # beside the shared one" if needs.auth else "",
        "      AutoPublishCodeSha256: !Ref Release",
        f"      Events: {{Route: {{Type: Api, Properties: {{{event}}}}}}}",
    ]
    return "\n".join(filter(None, lines))


def _groups(needs: Needs) -> list[str]:
    groups = ["flask", "web", "inputs"]
    if needs.database or needs.queue:
        groups.append("database")
    if needs.queue:
        groups.append("schedules")
    if needs.internet:
        groups.append("http")
    return groups


def _app(name: str, route: Route, needs: Needs, task: str | None) -> str:
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


def _test(name: str, route: Route, needs: Needs) -> str:
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


def _event(route: Route, needs: Needs) -> dict[str, Any]:
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
