"""Events of Application Load Balancers.

Source: AWS, "Use Lambda functions as targets of an Application Load Balancer".
"""

from collections.abc import Iterator
from itertools import product
from typing import Any
from urllib.parse import unquote

from decant.web.events.rest import Headers, HttpEvent, join_headers, pairs
from decant.web.wsgi import base

__all__ = ["LoadBalancerEvent"]


class LoadBalancerEvent(HttpEvent):
    """A load balancer's event, with or without multi-value headers."""

    member = "elb"

    def build_environ(self) -> dict[str, Any]:
        """The WSGI environ, without body, scheme and server."""
        event = self.event
        values = pairs(event, "multiValueQueryStringParameters", "queryStringParameters")
        query = "&".join([f"{name}={value}" for name, value in values])  # still encoded, as it was sent
        environ = base(event["httpMethod"], "", unquote(event["path"]), query)
        self.add_headers(environ)
        # The balancer appends the address that it saw to those that the client itself may have claimed.
        if address := environ.get("HTTP_X_FORWARDED_FOR", "").rpartition(",")[2].strip():
            environ["REMOTE_ADDR"] = address
        return environ

    def format_headers(self, headers: Headers) -> dict[str, Any]:
        """The members of the response that hold the headers, in the form in which the balancer sent its own."""
        if "multiValueHeaders" in self.event:
            every: dict[str, list[str]] = {}
            for name, value in headers:
                every.setdefault(name, []).append(value)
            return {"multiValueHeaders": every}
        cookies = [value for name, value in headers if name == "set-cookie"]
        return {"headers": join_headers(headers) | dict(zip(_spellings("set-cookie"), cookies, strict=False))}


def _spellings(name: str) -> Iterator[str]:
    """The name in all combinations of small and capital letters: the same header, but different members of JSON."""
    yield from map("".join, product(*[(letter, letter.upper()) if letter.isalpha() else letter for letter in name]))
