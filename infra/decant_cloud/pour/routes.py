"""Routes of the API for the functions of an application: every path has a function, also those that no rule matches.

Every function has the whole application, so that any of them can respond to any path; the split decides which one does.
A part of the tree of paths with a single owner is one greedy route.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from decant_cloud.scaffold.routes import METHODS, Route

__all__ = ["SPLITS", "routes_of"]

SPLITS = ("one", "blueprint", "route")
_PROXY = "{proxy+}"


@dataclass
class _Node:
    """A part of a path: its owners by method, and the parts below it."""

    owners: list[tuple[str, frozenset[str]]] = field(default_factory=list)
    children: "dict[str, _Node]" = field(default_factory=dict)

    def all_owners(self) -> set[str]:
        own = {owner for owner, _ in self.owners}
        return own.union(*(child.all_owners() for child in self.children.values()))


def routes_of(rules: Iterable[Mapping[str, Any]], split: str, name: str) -> dict[str, list[Route]]:
    """Routes by the name of the function that serves them.

    Args:
        rules: URL rules, as `inspection` describes them.
        split: `one`, `blueprint` or `route`.
        name: Name of the application: that of the function for all paths without another one.
    """
    root = _Node()
    for rule in rules:
        _add(root, rule, _owner(rule, split, name))
    found: dict[str, list[Route]] = {}
    for owner, method, path in _emit(root, "", name):
        found.setdefault(owner, []).append(Route(method=method, path=path or "/"))
    return found


def _owner(rule: Mapping[str, Any], split: str, name: str) -> str:
    part = {"one": "", "blueprint": rule["blueprint"], "route": rule["endpoint"]}[split]
    if not part or part == "static":
        return name
    plain = "".join(letter if letter.isalnum() and letter.isascii() else "_" for letter in part.lower())
    return "_".join([name, *filter(None, plain.split("_"))])


def _add(root: _Node, rule: Mapping[str, Any], owner: str) -> None:
    node = root
    for part in filter(None, rule["path"].split("/")):
        variable = next((each for each in node.children if each.startswith("{")), None)
        is_second = part.startswith("{") and variable is not None  # API Gateway accepts one variable here
        node = node.children.setdefault(_merge(node, variable, part) if is_second else part, _Node())
    node.owners.append((owner, frozenset(rule["methods"])))


def _merge(node: _Node, variable: str | None, part: str) -> str:
    """The variable for two rules; a greedy one replaces a plain one and what is below it."""
    if variable is None or variable.endswith("+}") or not part.endswith("+}"):
        return variable or part
    below = node.children.pop(variable)
    node.children[part] = _Node([(owner, frozenset()) for owner in sorted(below.all_owners())])
    return part


def _emit(node: _Node, path: str, default: str, *, catches_all: bool = True) -> Iterator[tuple[str, str, str]]:
    """Owner, method and path of the routes of a node; `catches_all` when no other route matches unknown paths below."""
    below = set[str]().union(*(child.all_owners() for child in node.children.values()))
    only = next(iter(below)) if len(below) == 1 else default
    first = node.owners[0][0] if node.owners else only
    yield first, "ANY", path
    claimed = set[str]()
    for owner, methods in node.owners:
        if owner != first:
            yield from ((owner, method, path) for method in sorted(methods - claimed) if method in METHODS)
        claimed |= methods
    if len(below) == 1:
        yield only, "ANY", f"{path}/{_PROXY}"
        return
    is_caught = False
    for part, child in node.children.items():
        if part.endswith("+}"):
            yield child.owners[0][0], "ANY", f"{path}/{part}"
        else:
            is_variable = part.startswith("{")
            yield from _emit(child, f"{path}/{part}", default, catches_all=catches_all and is_variable)
        is_caught = is_caught or part.startswith("{")
    if catches_all and not is_caught:
        yield default, "ANY", f"{path}/{_PROXY}"
