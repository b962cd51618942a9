"""JSON schemas of the document: those of Structs, and the problem document.

Source: OpenAPI Specification 3.1.1, JSON Schema 2020-12, RFC 9457 (problem details).
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec
from werkzeug.datastructures import FileStorage

from decant.web.responses import declared_responses
from decant_cloud.openapi.views import Facts

__all__ = ["Schemas", "reference"]

_PROBLEMS = {
    "Problem": {
        "title": "Problem",
        "description": "An error. Source: RFC 9457.",
        "type": "object",
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "instance": {"type": "string", "description": "The request's correlation id."},
            "errors": {
                "type": "array",
                "description": "The invalid fields.",
                "items": {
                    "type": "object",
                    "properties": {"field": {"type": "string"}, "detail": {"type": "string"}},
                    "required": ["field", "detail"],
                },
            },
        },
        "required": ["type", "title", "status"],
    }
}
_ATTRIBUTE = re.compile(r"^ {4}(\w+): (.+(?:\n {6,}.+)*)", re.MULTILINE)
_ANCHORS = {r"\A": "^", r"\Z": "$"}
_WHITE_SPACE = r"\s\x1c-\x1f\x85"
_REF = "#/components/schemas/{name}"


def reference(name: str) -> dict[str, str]:
    """The reference to a schema of the document's components."""
    return {"$ref": _REF.format(name=name)}


class Schemas:
    """JSON schemas of all types at once, so that equal names of different functions stay distinct."""

    def __init__(self, facts: Iterable[Facts], views: Iterable[Callable[..., Any]]) -> None:
        found: list[Any] = []
        for each in facts:
            found += [each.body] if each.body is not None else []
            found += each.query
        found += [declared.type for view in views for declared in declared_responses(view) if declared.type is not None]
        self._types = list({_key(type_): type_ for type_ in found}.values())
        schemas, components = msgspec.json.schema_components(self._types, schema_hook=_file, ref_template=_REF)
        portable: list[dict[str, Any]] = [_portable(schema) for schema in schemas]
        self._schemas = dict(zip(map(_key, self._types), portable, strict=True))
        self._components: dict[str, Any] = {
            **{name: _described(each) for name, each in components.items()},
            **_PROBLEMS,
        }

    def of(self, type_: Any) -> dict[str, Any]:
        """The schema of a type, usually a reference."""
        return self._schemas[_key(type_)]

    def fields(self, struct: Any) -> dict[str, Any]:
        """The schema of a Struct with its properties."""
        schema = self.of(struct)
        while "$ref" in schema:
            schema = self._components[_referred(schema)]
        return schema

    def components(self, paths: Mapping[str, Any]) -> dict[str, Any]:
        """The schemas to which the paths refer, by name. Structs of query strings are parameters and no schemas."""
        needed: dict[str, Any] = {}
        waiting = list(_references(paths))
        while waiting:
            if (name := waiting.pop()) not in needed:
                needed[name] = self._components[name]
                waiting += _references(needed[name])
        return dict(sorted(needed.items()))


def _referred(schema: Mapping[str, Any]) -> str:
    name: str = schema["$ref"].rpartition("/")[2]
    return name


def _references(part: Any) -> Iterator[str]:
    """Names of all schemas to which a part of the document refers."""
    if isinstance(part, dict):
        if "$ref" in part:
            yield _referred(part)
        part = part.values()
    elif not isinstance(part, list):
        return
    for each in part:
        yield from _references(each)


def _file(type_: type) -> dict[str, Any]:
    """The schema of an uploaded file."""
    if issubclass(type_, FileStorage):
        return {"type": "string", "format": "binary"}
    raise NotImplementedError  # which makes msgspec report the type


def _described(schema: dict[str, Any]) -> dict[str, Any]:
    """A portable schema; the docstring's section `Attributes` becomes the descriptions of properties."""
    description, _, attributes = schema.get("description", "").partition("\n\nAttributes:\n")
    described = dict(_portable(schema))
    if description:
        described["description"] = " ".join(description.split())
    for name, text in _ATTRIBUTE.findall(attributes):
        if name in described.get("properties", {}):
            described["properties"][name] = {**described["properties"][name], "description": " ".join(text.split())}
    return described


def _portable(schema: Any) -> Any:
    """The schema with patterns of ECMA-262, and without `"items": false`, which some generators of clients reject.

    A tuple has `maxItems` beside it, which allows the same values.
    """
    if isinstance(schema, dict):
        return {
            name: _ecma_pattern(value) if name == "pattern" and isinstance(value, str) else _portable(value)
            for name, value in schema.items()
            if (name, value) != ("items", False)
        }
    return [_portable(each) for each in schema] if isinstance(schema, list) else schema


def _ecma_pattern(pattern: str) -> str:
    r"""A regular expression with the anchors of ECMA-262, whose `\s` lacks some of Python's white space."""
    is_in_class = False
    translated = ""
    for part in re.findall(r"\\.|.", pattern, re.DOTALL):
        is_in_class = part == "[" or (is_in_class and part != "]")
        space = _WHITE_SPACE if is_in_class else f"[{_WHITE_SPACE}]"
        translated += space if part == r"\s" else _ANCHORS.get(part, part)
    return translated


def _key(type_: Any) -> str:
    return f"{getattr(type_, '__module__', '')}.{type_!r}"
