"""What a view accepts and raises, read from its source.

A view declares its input and errors by the functions that it calls: `body(NewUser)`, `query(Filter)`,
`auth.require("tasks:read")`, `raise Conflict(…)`. The calls are found in the view's syntax tree and resolved through
the module's names. Functions of the bundle are searched as well. Functions of `decant` are not: the section `Raises`
of their docstrings lists their errors.
"""

import ast
import builtins
import inspect
import re
import textwrap
import typing
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus
from pathlib import Path
from types import FunctionType, GenericAlias, MethodType
from typing import Any

from werkzeug import exceptions
from werkzeug.http import HTTP_STATUS_CODES
from werkzeug.local import LocalProxy

from decant import auth, errors
from decant.web import idempotent, params, resources
from decant.web.responses import JSON

__all__ = ["Facts", "facts_of"]

_RAISES = re.compile(r"^ *Raises:\n((?: +.+\n?)+)", re.MULTILINE)
_RAISED = re.compile(r"^ +(\w+(?:, \w+)*): ", re.MULTILINE)


@dataclass
class Facts:
    """What a view accepts and raises.

    Attributes:
        body: Type of the body; None when the view reads none.
        media_type: Media type of the body.
        body_required: Whether a request without a body is rejected.
        query: Types of the query string, Structs.
        idempotency_key: Whether the view has the decorator `idempotent`.
        etag: Whether the view calls `etag`: its responses have an ETag.
        conditional: Whether `etag` checks the conditions of the request.
        links: Whether the view calls `page`, which makes the header `Link`.
        scopes: Scopes that a token needs.
        reads_token: Whether the view reads a token's scopes without requiring one.
        errors: Problem titles by HTTP status.
    """

    body: Any = None
    media_type: str = JSON
    body_required: bool = True
    query: list[Any] = field(default_factory=list)
    idempotency_key: bool = False
    etag: bool = False
    conditional: bool = False
    links: bool = False
    scopes: list[str] = field(default_factory=list)
    reads_token: bool = False
    errors: dict[int, set[str]] = field(default_factory=dict)

    def add_error(self, error: Any) -> None:
        """Add an exception class or an HTTP status; errors with status 500 are not part of the interface."""
        if isinstance(error, int):
            error = exceptions.default_exceptions.get(error)
        if not (isinstance(error, type) and issubclass(error, errors.DecantError | exceptions.HTTPException)):
            return
        if issubclass(error, errors.DecantError):
            status, title = error.status, error.title
        else:
            status, title = error.code or 0, HTTP_STATUS_CODES.get(error.code or 0, "")
        if status and status != HTTPStatus.INTERNAL_SERVER_ERROR:
            self.errors.setdefault(status, set()).add(title)


def facts_of(view: Callable[..., Any], bundle: Path) -> Facts:
    """Read a view and all functions of the bundle that it calls.

    Args:
        view: A view function, as registered, with its decorators.
        bundle: Folder whose functions are searched.
    """
    facts = Facts()
    seen: set[int] = set()
    _read(view, bundle, facts, seen)
    return facts


def _read(function: Any, bundle: Path, facts: Facts, seen: set[int]) -> None:
    """Add the facts of one function, and of the functions that it calls."""
    _add_errors(_documented_errors(function), facts)
    function = inspect.unwrap(function)
    if isinstance(function, MethodType):
        function = function.__func__
    if not isinstance(function, FunctionType) or id(function) in seen or not _is_in(function, bundle):
        return
    seen.add(id(function))
    if (tree := _tree(function)) is None:
        return
    nodes = _nodes(function)
    scope = _Scope(function, nodes)
    for decorator in tree.decorator_list:
        applied = scope.value(_called(decorator))
        facts.idempotency_key |= applied is idempotent
        _add_errors(_documented_errors(applied), facts)
    for node in nodes:
        if isinstance(node, ast.Raise) and node.exc is not None:
            facts.add_error(scope.value(_called(node.exc)))
    optional = {id(part) for node in nodes if isinstance(node, ast.IfExp | ast.If) for part in ast.walk(node)}
    for call in (node for node in nodes if isinstance(node, ast.Call)):
        called = scope.value(call.func)
        first = scope.value(call.args[0]) if call.args else None
        given = {each.arg for each in call.keywords}
        _add_call(called, first, facts, required=id(call) not in optional and "default" not in given)
        facts.conditional |= called is resources.etag and "changed" not in given
        if called is not None and called is not resources.etag:  # its errors depend on the method
            _read(called, bundle, facts, seen)


def _called(node: ast.expr) -> ast.expr:
    """The function of a call, or the expression itself: `raise Conflict` and `raise Conflict(…)` raise the same."""
    return node.func if isinstance(node, ast.Call) else node


def _add_errors(found: Iterable[Any], facts: Facts) -> None:
    for error in found:
        facts.add_error(error)


def _add_call(called: Any, first: Any, facts: Facts, *, required: bool) -> None:
    if called is params.body:
        facts.body, facts.body_required = first, required
    elif called is params.form:
        facts.body, facts.media_type = first, "multipart/form-data"
    elif called is params.query and first is not None:
        facts.query.append(first)
    elif called is auth.require and isinstance(first, str):
        facts.scopes.append(first)
    elif called is auth.scopes:
        facts.reads_token = True
    elif called is resources.etag:
        facts.etag = True
    elif called is resources.page:
        facts.links = True
    elif getattr(called, "__name__", "") == "abort":
        facts.add_error(first)


class _Scope:
    """The names of a function: its module's, those of enclosing functions, and local variables of a known class."""

    def __init__(self, function: FunctionType, nodes: Iterable[ast.AST]) -> None:
        self._names = {**vars(builtins), **function.__globals__, **inspect.getclosurevars(function).nonlocals}
        for parameter in inspect.signature(function).parameters:
            self._names.pop(parameter, None)
        for node in nodes:
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
                self._names[node.targets[0].id] = self._instance(node.value)

    def value(self, node: ast.expr) -> Any:
        """What an expression refers to; None when that is not known before it is run."""
        match node:
            case ast.Constant(value):
                return value
            case ast.Name(name):
                found = self._names.get(name)
                return None if isinstance(found, _Instance) else found
            case ast.Subscript(owner, part):  # list[User]
                generic, argument = self.value(owner), self.value(part)
                return GenericAlias(generic, argument) if isinstance(generic, type) and argument is not None else None
            case ast.Attribute(owner, name):
                found = self._instance(owner)
                if type(found) is LocalProxy:  # Flask's `request`, whose attributes exist in requests alone
                    found = None
                if isinstance(found, _Instance):
                    return inspect.getattr_static(found.type, name, None)
                return getattr(found, name, None)
        return None

    def _instance(self, node: ast.expr) -> Any:
        """The value of an expression, or the class of the value that a call returns."""
        if isinstance(node, ast.Await):
            return self._instance(node.value)
        if not isinstance(node, ast.Call):
            return self._names.get(node.id) if isinstance(node, ast.Name) else self.value(node)
        called = self.value(node.func)
        if isinstance(called, type):
            return _Instance(called)
        try:
            returned = typing.get_type_hints(called).get("return") if callable(called) else None
        except (NameError, TypeError):
            return None
        return _Instance(returned) if isinstance(returned, type) else None


@dataclass(frozen=True)
class _Instance:
    type: type


@cache
def _tree(function: FunctionType) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    except (OSError, SyntaxError, TypeError):
        return None
    return tree if isinstance(tree, ast.FunctionDef | ast.AsyncFunctionDef) else None


@cache
def _nodes(function: FunctionType) -> list[ast.AST]:
    """The nodes of the syntax tree; walking it takes as long as parsing."""
    return [] if (tree := _tree(function)) is None else list(ast.walk(tree))


def _is_in(function: FunctionType, bundle: Path) -> bool:
    """Whether the function's file is the bundle's own code: no library, and not `decant`."""
    return _is_file_in(function.__code__.co_filename, bundle)


@cache
def _is_file_in(name: str, bundle: Path) -> bool:
    file = Path(name).resolve()
    return file.is_relative_to(bundle) and not {"decant", ".venv", ".decant", "site-packages"} & set(file.parts)


def _documented_errors(function: Any) -> Iterator[Any]:
    """The errors in the section `Raises` of the docstring."""
    documented = _RAISES.search(getattr(function, "__doc__", None) or "")
    if documented is None or isinstance(function, type):
        return
    names = getattr(inspect.unwrap(function), "__globals__", {}) if callable(function) else {}
    for listed in _RAISED.findall(documented[1]):
        for name in listed.split(", "):
            yield names.get(name) or getattr(errors, name, None) or getattr(exceptions, name, None)
