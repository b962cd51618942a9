"""Limits per caller of routes: `infra/edge.yaml` lists those whose view has the decorator `limit_per_caller`."""

import ast
import re
from pathlib import Path

from decant_cloud.template.model import Route, Template

__all__ = ["EDGE", "refers_to", "without_limit", "write_limits"]

EDGE = "infra/edge.yaml"

_NO_PATH = "no-limited-route"
"""Pattern of a firewall's rule without routes: an empty one would match every path that ends with a slash."""

_LIMITED_PATHS = re.compile(r"^( +RegexString: /\()(.*)(\)/\?\$)$", re.MULTILINE)
"""The firewall's regular expression of the paths whose callers are limited."""


def write_limits(root: Path) -> list[Path]:
    """List the routes whose view has the decorator, and no others, in the usage plan and in the firewall's rule.

    Args:
        root: Folder of the bundle.

    Returns:
        The file; none when it lists them already.
    """
    edge = root / EDGE
    before = text = edge.read_text()
    for function in Template(root).functions().values():
        is_limited = refers_to(function.folder, "limit_per_caller")
        for route in function.routes:
            if is_limited is not _is_listed(text, route):
                text = _with_limit(text, route) if is_limited else without_limit(text, route)
    edge.write_text(text)
    return [edge] if text != before else []


def refers_to(folder: Path, name: str) -> bool:
    """Whether the code in a function's folder calls or decorates with this name."""
    nodes = (node for path in folder.glob("*.py") for node in ast.walk(ast.parse(path.read_text())))
    return any(isinstance(node, ast.Name | ast.Attribute) and ast.unparse(node) == name for node in nodes)


def _is_listed(text: str, route: Route) -> bool:
    return re.search(rf"^ +{re.escape(route.path)}/{route.method}: {{", text, re.MULTILINE) is not None


def _with_limit(text: str, route: Route) -> str:
    """The text of `infra/edge.yaml` with the limit per caller for a route."""
    limit = f"{route.path}/{route.method}: {{RateLimit: !Ref ApiKeyCallerRate, BurstLimit: !Ref CallerRate}}"
    text = re.sub(r"^( +)Throttle:(?: {})?( #.*)?$", rf"\1Throttle:\2\n\1  {limit}", text, count=1, flags=re.MULTILINE)

    def add(match: re.Match[str]) -> str:
        known = (each for each in match[2].split("|") if each not in {"", _NO_PATH})
        return f"{match[1]}{'|'.join(dict.fromkeys([*known, _pattern(route.path)]))}{match[3]}"

    return _LIMITED_PATHS.sub(add, text)


def without_limit(text: str, route: Route) -> str:
    """The text of `infra/edge.yaml` without the limit per caller for a route."""
    text = re.sub(rf"^ +{re.escape(route.path)}/{route.method}: {{.*}}\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"^( +)Throttle:( #.*)?\n(?!\1 )", r"\1Throttle: {}\2\n", text, flags=re.MULTILINE)
    is_limited = re.search(rf"^ +{re.escape(route.path)}/[A-Z]+: {{", text, re.MULTILINE) is not None

    def remove(match: re.Match[str]) -> str:
        kept = [each for each in match[2].split("|") if is_limited or each != _pattern(route.path)]
        return f"{match[1]}{'|'.join(kept) or _NO_PATH}{match[3]}"

    return _LIMITED_PATHS.sub(remove, text)


def _pattern(path: str) -> str:
    """The path's alternative in the firewall's regular expression."""
    return re.sub(r"{\w+\+?}", "[^/]+", path.removeprefix("/"))
