"""Where a gateway has mounted the app, so that `url_for` builds links that work from outside.

API Gateway adds to the app's paths its stage (`/dev/users`), a custom domain's base path (`/shop/v1/users`), or
nothing, and says so nowhere; it shows in the difference between the request's path and the route's.

Source: AWS, "Lambda proxy integrations" (REST: format 1.0) and "AWS Lambda integrations for HTTP APIs" (format 2.0).
"""

from typing import Any

from decant.config import settings

__all__ = ["client_address", "split"]


def split(event: dict[str, Any], path: str) -> tuple[str, str]:
    """Where the app is mounted, and the whole path, as ASGI's `root_path` and `path` have them.

    Args:
        event: Of a REST or HTTP API, a function URL or a load balancer.
        path: The event's path, percent-decoded.
    """
    context = event["requestContext"]
    if "http" in context:  # format 2.0: the path is whole
        return _http_api_root(event, context), path
    if "resource" not in event:  # a load balancer mounts nothing
        return "", path
    inner, whole = event["path"], context.get("path") or event["path"]
    if len(whole) > len(inner) and whole.endswith(inner):
        root = _emulators_prefix(context) + whole.removesuffix(inner).rstrip("/")
        return root, root + path
    return _prefix(whole, event["resource"], event.get("pathParameters")), path


def client_address(event: dict[str, Any], client: tuple[str | None, int]) -> tuple[str, int] | None:
    """The client's address; a load balancer appends it to those that the client itself may have claimed."""
    address = client[0] or ""
    if "elb" in event["requestContext"]:
        address = address.rpartition(",")[2].strip()
    return (address, client[1]) if address else None


def _http_api_root(event: dict[str, Any], context: dict[str, Any]) -> str:
    whole, stage = context["http"]["path"], context.get("stage", "$default")
    template = event.get("routeKey", "$default").partition(" ")[2]
    if template:
        return _prefix(whole, template, event.get("pathParameters"))
    return f"/{stage}" if stage != "$default" and f"{whole}/".startswith(f"/{stage}/") else ""


def _prefix(whole: str, template: str, parameters: dict[str, str] | None) -> str:
    """The segments of a path before those that the route's template stands for."""
    segments = [each for each in whole.split("/") if each]
    inner = 0
    for part in filter(None, template.split("/")):
        greedy = (parameters or {}).get(part[1:-2], "") if part.endswith("+}") else part
        inner += len([each for each in greedy.split("/") if each])
    return "".join(f"/{each}" for each in segments[: max(0, len(segments) - inner)])


def _emulators_prefix(context: dict[str, Any]) -> str:
    """LocalStack serves every API on one host, below `/_aws/execute-api/{id}`, unless the host names the API."""
    api = context.get("apiId", "")
    if settings().aws_endpoint_url is None or context.get("domainName", "").startswith(f"{api}."):
        return ""
    return f"/_aws/execute-api/{api}"
