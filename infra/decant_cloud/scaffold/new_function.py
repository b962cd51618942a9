"""A new function with a route: all that belongs to it, which passes all checks and its own test at once."""

import json
import re
from pathlib import Path
from typing import Any

from decant_cloud.local.errors import LocalCloudError
from decant_cloud.scaffold.blocks import blocks_of, copied
from decant_cloud.scaffold.files import check_name, write
from decant_cloud.scaffold.routes import Route
from decant_cloud.template.model import Template, logical_id

__all__ = ["add_function"]

_APP = '''"""{route}: says what it is."""

from flask import Flask

from decant.web import lambda_handler

app = Flask(__name__)


@app.{decorator}("{rule}")
async def {name}({parameters}) -> dict[str, str]:
    """Answer the route's name, and what its path holds."""
    return {{{answer}}}


handler = lambda_handler(app)
'''

_TEST = '''"""{route} through its handler."""

from tests.loading import call, event, load_function


def test_{name}_answers() -> None:
    """The event in `events/` gives what the route promises."""
    answer = call(load_function("{name}"), event("{name}"))

    assert (answer.status, answer.json()) == (200, {{{answer}}})
'''

_EXAMPLE = "1"
"""What a path's variables are in an event."""


def add_function(root: Path, name: str, route: Route, like: str) -> list[Path]:
    """Add a function: its folder, its event, its test, its part of the template, and its budget of imports.

    Args:
        root: Folder of the bundle.
        name: Of its folder.
        route: What it answers.
        like: The function whose part of the template is copied, by either name.

    Returns:
        Every file that was written.

    Raises:
        LocalCloudError: there is such a function or route already, or a name is none; nothing was written.
    """
    check_name(name)
    if (root / f"functions/{name}").exists():
        raise LocalCloudError(f"There is a function {name} already.")
    template = Template(root)
    model = template.function(like)
    route.check_beside([Route(method=each.method, path=each.path) for each in template.routes()])
    budgets = root / "infra/import_budget.toml"
    changed = {
        root / "template.yaml": _template(template, model.logical_id, name, route),
        budgets: _budgets(budgets.read_text(), name),
    }
    event = _event(json.loads((root / f"events/{model.name}.json").read_text()), route)
    new = {
        root / f"functions/{name}/app.py": _app(name, route),
        root / f"events/{name}.json": json.dumps(event, indent=2) + "\n",
        root / f"tests/integration/test_function_{name}.py": _test(name, route),
    }
    return write(new, changed)


def _app(name: str, route: Route) -> str:
    answer = [f'"message": "{name}"', *(f'"{each}": {each}' for each in route.variables)]
    return _APP.format(
        name=name,
        route=route,
        decorator=route.method.lower(),
        rule=route.rule,
        parameters=", ".join(f"{each}: str" for each in route.variables),
        answer=", ".join(answer),
    )


def _test(name: str, route: Route) -> str:
    answer = [f'"message": "{name}"', *(f'"{each}": "{_EXAMPLE}"' for each in route.variables)]
    return _TEST.format(name=name, route=route, answer=", ".join(answer))


def _budgets(text: str, name: str) -> str:
    """The budgets with a line for a function that imports what any route needs."""
    table = re.search(r"^\[functions\]\n(.+\n)+", text, re.MULTILINE)
    if table is None:
        raise LocalCloudError("infra/import_budget.toml has no table [functions].")
    return f'{text[: table.end()]}{name} = ["flask", "web", "inputs"]\n{text[table.end() :]}'


def _template(template: Template, model: str, name: str, route: Route) -> str:
    """The template's text with a copy of all that a model has in it, and the new function's own folder and route."""
    text, new = (template.root / "template.yaml").read_text(), logical_id(name)
    blocks = blocks_of(text, model, template.functions())
    known = template.document["Resources"].keys() | template.document.get("Conditions", {}).keys()
    if taken := known & {block.name.replace(model, new, 1) for block in blocks}:
        raise LocalCloudError(f"template.yaml has {', '.join(sorted(taken))} already; take another name than {name}.")
    text = copied(text, blocks, model, new)
    block = next(each for each in blocks_of(text, new, [new]) if each.name == new)
    return text[: block.end - len(block.text)] + _own(block.text, name, route) + text[block.end :]


def _own(block: str, name: str, route: Route) -> str:
    """A function's part of the template with its own folder and route in place of its model's."""
    path = f'"{route.path}"' if route.variables else route.path  # braces need quotes
    own = {"Description": f"{route} says what it is.", "CodeUri": f"functions/{name}/"}
    changes = {f"^( +{key}:) .*$": value for key, value in own.items()}
    changes |= {r"(\bMethod:) [A-Z]+": route.method, r'(\bPath:) ("[^"]*"|[^\s,}]+)': path}
    for pattern, value in changes.items():
        block, times = re.subn(pattern, lambda found, value=value: f"{found[1]} {value}", block, flags=re.MULTILINE)  # type: ignore[misc]
        if times != 1:
            raise LocalCloudError("The function to be like has no route, or several; name another one with --like.")
    return block


def _event(model: dict[str, Any], route: Route) -> dict[str, Any]:
    """An event for a route, from one for another."""
    path = re.sub(r"{\w+}", _EXAMPLE, route.path)
    context = {"httpMethod": route.method, "path": f"/dev{path}", "resourcePath": route.path}
    return model | {
        "resource": route.path,
        "path": path,
        "httpMethod": route.method,
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": dict.fromkeys(route.variables, _EXAMPLE) or None,
        "requestContext": model["requestContext"] | context,
        "body": None,
    }
