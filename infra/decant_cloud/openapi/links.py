"""Links of the document: the operations that a response leads to.

A response that contains an id leads to the operations whose path contains it: `POST /users` to `GET /users/{user_id}`,
`POST /start-task` to `GET /tasks/{task_id}`. So does an operation of a resource to the others of the same resource.

Source: OpenAPI Specification 3.1.1, section 4.8.20 (Link Object).
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from decant.web.responses import JSON

__all__ = ["add_links"]

_VARIABLE = re.compile(r"{(\w+)}")
_ETAG = "ETag"
_CONDITION = "If-Match"


def add_links(document: dict[str, Any]) -> None:
    """Add to every successful JSON response the links to the operations whose path variables it determines."""
    resources = _Resources(document["paths"])
    for path, methods in document["paths"].items():
        for operation in methods.values():
            for response in _with_json(operation):
                links = {
                    target["operationId"]: _link(target, parameters, response)
                    for resource, parameters in resources.known(path, _properties(document, response))
                    for target in resources.operations[resource]
                    if target is not operation
                }
                if links:
                    response["links"] = dict(sorted(links.items()))


class _Resources:
    """The operations by resource: the path up to its last variable, `/tasks/{task_id}` of `/tasks/{task_id}/revoke`."""

    def __init__(self, paths: Mapping[str, Mapping[str, Any]]) -> None:
        self.operations: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for path, methods in paths.items():
            if "{" in path:
                self.operations[_resource(path)] += methods.values()
        self._of_list: dict[str, list[str]] = defaultdict(list)
        self._of_variable: dict[str, list[str]] = defaultdict(list)
        for resource in self.operations:
            parent, _, variable = resource.rpartition("/{")
            self._of_list[parent].append(resource)
            if "{" not in parent:
                self._of_variable[variable.rstrip("}")].append(resource)

    def known(self, path: str, properties: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, str]]]:
        """The resources whose variables a request of a path and its response determine, with runtime expressions."""
        own = {f"path.{name}": f"$request.path.{name}" for name in _VARIABLE.findall(path)}
        for name in properties:
            for resource in self._of_variable.get(name, ()):
                yield resource, {f"path.{name}": f"$response.body#/{name}"}
        if "id" in properties:
            for resource in self._of_list.get(path, ()):
                yield resource, own | {f"path.{_VARIABLE.findall(resource)[-1]}": "$response.body#/id"}
        if own:
            yield _resource(path), own


def _resource(path: str) -> str:
    return path[: path.rindex("}") + 1]


def _with_json(operation: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for status, response in operation["responses"].items():
        if status.startswith("2") and JSON in response.get("content", {}):
            yield response


def _properties(document: Mapping[str, Any], response: Mapping[str, Any]) -> Mapping[str, Any]:
    schema = response["content"][JSON]["schema"]
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    properties: Mapping[str, Any] = schema.get("properties", {})
    return properties


def _link(target: Mapping[str, Any], parameters: Mapping[str, str], response: Mapping[str, Any]) -> dict[str, Any]:
    """The link object; a change gets the response's ETag as its condition."""
    condition = {}
    if _ETAG in response.get("headers", {}) and any(each["name"] == _CONDITION for each in target["parameters"]):
        condition = {f"header.{_CONDITION}": f"$response.header.{_ETAG}"}
    return {"operationId": target["operationId"], "parameters": {**parameters, **condition}}
