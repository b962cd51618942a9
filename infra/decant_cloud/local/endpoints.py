"""Every route of the deployed API with a curl line that works as it is printed, made from template and events."""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from decant_cloud.template.model import Template

__all__ = ["Endpoint", "endpoints", "load_event"]

_MINTED = '"Authorization: Bearer $(make -s token)"'
_UUID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One route.

    Attributes:
        function: Logical id.
        event: An AWS-shaped event for it, as in `events/`.
    """

    function: str
    method: str
    path: str
    event: Mapping[str, Any]

    def curl(self, api_url: str, others: "list[Endpoint]") -> str:
        """The command that calls it; for an id in its path, another route makes one first where there is such a route.

        Args:
            api_url: Address of the API, without a slash at the end.
            others: The routes to make an id with.
        """
        url = api_url + self._path(api_url, others)
        if query := self.event.get("queryStringParameters"):
            url += "?" + urlencode(query)
        streams = (self.event.get("headers") or {}).get("Accept") == "text/event-stream"
        parts = ["curl", "-sN" if streams else "-s"]
        parts += [] if self.method in {"ANY", "GET", "POST"} else ["-X", self.method]
        parts.append(f"'{url}'" if "?" in url else url)
        headers = self.event.get("headers") or {}
        if "Authorization" in headers:
            parts.append(f"-H {_MINTED}")
        if "If-Match" in headers:
            parts.append(f"-H 'If-Match: {headers['If-Match']}'")
        if body := self.event.get("body"):
            parts += [f"-H 'Content-Type: {headers.get('Content-Type', 'application/json')}'", f"-d '{_fresh(body)}'"]
        elif self.method == "POST":
            parts.append("-X POST")
        return " ".join(parts)

    def _path(self, api_url: str, others: "list[Endpoint]") -> str:
        def value(match: re.Match[str]) -> str:
            name = match[1]
            maker = next((other for other in others if other.makes(name)), None)
            if maker is not None:
                return f"$({maker.curl(api_url, others)} | grep -oE '{_UUID}')"
            return str((self.event.get("pathParameters") or {}).get(name, name))

        return re.sub(r"{(\w+)\+?}", value, self.path)

    def makes(self, parameter: str) -> bool:
        """Whether it answers a new id of this name: POST /users a `user_id`, POST /start-task a `task_id`."""
        noun = parameter.removesuffix("_id")
        return self.method == "POST" and re.search(rf"\b{noun}s?$", self.path) is not None


def endpoints(template: Template) -> list[Endpoint]:
    """Every route of the template, in its order; without an event in `events/` that can be read, with an empty one."""
    functions = template.functions()
    return [
        Endpoint(
            function=route.function,
            method=route.method,
            path=route.path,
            event=load_event(template.root / f"events/{functions[route.function].name}.json"),
        )
        for route in template.routes()
    ]


def load_event(path: Path) -> Mapping[str, Any]:
    """An event of `events/`; empty when it is missing or no JSON object, which `decant check` reports."""
    with suppress(OSError, ValueError):
        event = json.loads(path.read_text())
        return event if isinstance(event, dict) else {}
    return {}


def _fresh(body: str) -> str:
    """A body whose e-mail addresses are new each time that the shell sees them."""
    return body.replace("@", "+'$(date +%s)-$RANDOM'@")
