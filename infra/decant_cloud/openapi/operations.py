"""One operation of the document: a method of a path, with its parameters, body and responses.

Source: OpenAPI Specification 3.1.1, RFC 9457 (problem details), RFC 6750 (bearer tokens), RFC 7396 (merge patch).
"""

import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from werkzeug.http import HTTP_STATUS_CODES
from werkzeug.routing import Rule

from decant.web.responses import JSON, Declared, declared_responses
from decant_cloud.openapi.schemas import Schemas, reference
from decant_cloud.openapi.views import Facts

__all__ = ["Operation"]

_PROBLEM = "application/problem+json"
_EVENT_STREAM = "text/event-stream"
_MERGE_PATCH = "application/merge-patch+json"
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "A new UUID. A request that is sent again with the same key has no second effect.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]([ -~]*[!-~])?$"},
}
_IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": True,
    "description": "The ETag of the version to change, or `*` for any. A request without it gets 428.",
    "schema": {"type": "string", "pattern": r'^(\*|(W/)?"[!#-~]*"(, *(W/)?"[!#-~]*")*)$'},
}
_IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "description": "The ETag of a stored response. The response is 304 while it is up to date.",
    "schema": {"type": "string"},
}
_HEADERS = {
    "ETag": {"description": "The version of the response.", "schema": {"type": "string"}},
    "Link": {"description": 'The next page, with `rel="next"`; missing on the last.', "schema": {"type": "string"}},
}
_SAFE = {"get", "head", "options", "trace"}
_CONVERTERS: dict[str, dict[str, Any]] = {
    "UUIDConverter": {"type": "string", "format": "uuid"},
    "IntegerConverter": {"type": "integer", "minimum": 0},
    "FloatConverter": {"type": "number", "minimum": 0},
}


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One method of one path.

    Attributes:
        rule: The URL rule.
        method: In lower case.
        view: The function that serves the method.
        facts: What the view accepts and raises.
        schemas: Schemas of the document.
        event: The function's event in `events/`, for examples; empty when there is none.
    """

    rule: Rule
    method: str
    view: Callable[..., Any]
    facts: Facts
    schemas: Schemas
    event: Mapping[str, Any]

    def build(self) -> dict[str, Any]:
        """The operation object, without its id."""
        summary, _, description = inspect.cleandoc(inspect.unwrap(self.view).__doc__ or "").partition("\n")
        path = self.rule.rule.strip("/").partition("/")[0]
        built: dict[str, Any] = {"summary": summary} if summary else {}
        if description := description.partition("\nArgs:")[0].partition("\nRaises:")[0].strip():
            built["description"] = description
        built["tags"] = [path or self.rule.endpoint]
        parameters = [*self._path_parameters(), *self._query_parameters()]
        if self.facts.idempotency_key:
            parameters.append(_IDEMPOTENCY_KEY)
        if self.facts.conditional:
            parameters.append(self._condition())
        if parameters:
            built["parameters"] = parameters
        if self.facts.body is not None:
            built["requestBody"] = self._body()
        built["responses"] = self._responses()
        if self.facts.scopes:
            built["security"] = [{"bearerAuth": self.facts.scopes}]
        elif self.facts.reads_token:
            built["security"] = [{}, {"bearerAuth": []}]
        return built

    def _path_parameters(self) -> Iterator[dict[str, Any]]:
        examples = self.event.get("pathParameters") or {}
        for name, converter in sorted(self.rule._converters.items()):  # noqa: SLF001  # public attribute has no schema
            kind = type(converter).__name__
            schema = dict(_CONVERTERS.get(kind, {"type": "string", "minLength": 1}))
            if kind == "AnyConverter":
                schema = {"type": "string", "enum": sorted(vars(converter)["items"])}
            parameter = {"name": name, "in": "path", "required": True, "schema": schema}
            yield parameter | ({"example": _typed(examples[name], schema)} if name in examples else {})

    def _query_parameters(self) -> Iterator[dict[str, Any]]:
        examples = self.event.get("queryStringParameters") or {}
        for struct in self.facts.query:
            schema = self.schemas.fields(struct)
            for name, of_field in schema["properties"].items():
                required = name in schema.get("required", ())
                plain, given = _without_null(of_field), examples.get(name)
                parameter: dict[str, Any] = {"name": name, "in": "query", "required": required, "schema": plain}
                yield parameter | ({"example": _typed(given, plain)} if given is not None else {})

    def _condition(self) -> dict[str, Any]:
        parameter: dict[str, Any] = _IF_NONE_MATCH if self.method in _SAFE else _IF_MATCH
        given = (self.event.get("headers") or {}).get(parameter["name"])
        return parameter if given is None else {**parameter, "example": given}

    def _body(self) -> dict[str, Any]:
        content: dict[str, Any] = {"schema": self.schemas.of(self.facts.body)}
        if body := self.event.get("body"):
            content["example"] = json.loads(body) if self.facts.media_type == JSON else body
        is_merge_patch = self.method == "patch" and hasattr(self.facts.body, "__struct_config__")
        media_type = _MERGE_PATCH if is_merge_patch and self.facts.media_type == JSON else self.facts.media_type
        return {"required": self.facts.body_required, "content": {media_type: content}}

    def _responses(self) -> dict[str, Any]:
        responses = {declared.status: self._success(declared) for declared in declared_responses(self.view)}
        responses = responses or {HTTPStatus.OK: {"description": HTTPStatus.OK.phrase}}
        if self.facts.conditional and self.method in _SAFE:
            responses[HTTPStatus.NOT_MODIFIED] = {"description": HTTPStatus.NOT_MODIFIED.phrase}
        for status, titles in self._errors().items():
            content = {_PROBLEM: {"schema": reference("Problem")}}
            responses[status] = {"description": " or ".join(sorted(titles)), "content": content}
        return {str(int(status)): response for status, response in sorted(responses.items())}

    def _success(self, declared: Declared) -> dict[str, Any]:
        response: dict[str, Any] = {"description": declared.description or HTTPStatus(declared.status).phrase}
        if declared.type is not None:
            names = ["ETag"] * self.facts.etag + ["Link"] * self.facts.links
            if names:
                response["headers"] = {name: _HEADERS[name] for name in names}
            schema = self.schemas.of(declared.type)
            response["content"] = {
                declared.mimetype: {"schema": _event(schema) if declared.mimetype == _EVENT_STREAM else schema}
            }
        return response

    def _errors(self) -> dict[int, set[str]]:
        found = {status: set(titles) for status, titles in self.facts.errors.items()}
        added = [HTTPStatus.NOT_FOUND] if self.rule._converters else []  # noqa: SLF001  # a converter may reject the path
        if self.method not in _SAFE:
            added.append(HTTPStatus.FORBIDDEN)
            if self.facts.conditional:
                added += [HTTPStatus.PRECONDITION_FAILED, HTTPStatus.PRECONDITION_REQUIRED]
        if self.facts.body is not None:
            added += [HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE]
        for status in added:
            found.setdefault(status, set()).add(HTTP_STATUS_CODES[status])
        return found


def _event(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of each server-sent event, whose data is a text, or JSON of a schema.

    Source: HTML Standard, section 9.2.6 (Interpreting an event stream).
    """
    is_text = schema == {"type": "string"}
    data = {"type": "string"} if is_text else {"type": "string", "contentMediaType": JSON, "contentSchema": schema}
    text = {"type": "string"}
    fields = {"event": text, "data": data, "id": text, "retry": {"type": "integer", "minimum": 0}}
    return {"type": "object", "properties": fields, "required": ["data"]}


def _without_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a query parameter: a missing one has no value, and no text stands for null."""
    plain = {name: value for name, value in schema.items() if name not in {"anyOf", "default"}}
    arms = [arm for arm in schema.get("anyOf", ()) if arm != {"type": "null"}]
    if schema.get("default") is not None:
        plain["default"] = schema["default"]
    return {**plain, **arms[0]} if len(arms) == 1 else {**plain, **({"anyOf": arms} if arms else {})}


def _typed(text: str, schema: Mapping[str, Any]) -> Any:
    """An example from an event, where all values are text."""
    return json.loads(text) if schema.get("type") in {"integer", "number", "boolean"} else text
