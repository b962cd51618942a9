"""Limits per caller of routes, which `infra/edge.yaml` lists."""

import re

from decant_cloud.template.model import Route

__all__ = ["EDGE", "with_limit", "without_limit"]

EDGE = "infra/edge.yaml"

_LIMITED_PATHS = re.compile(r"^( +RegexString: /\()(.*)(\)/\?\$)$", re.MULTILINE)
"""The firewall's regular expression of the paths whose callers are limited."""


def with_limit(text: str, route: Route) -> str:
    """The text of `infra/edge.yaml` with the limit per caller for a route."""
    limit = f"{route.path}/{route.method}: {{RateLimit: !Ref ApiKeyCallerRate, BurstLimit: !Ref CallerRate}}"
    text = re.sub(r"^( +)Throttle:(?: {})?( #.*)?$", rf"\1Throttle:\2\n\1  {limit}", text, count=1, flags=re.MULTILINE)

    def add(match: re.Match[str]) -> str:
        return (
            f"{match[1]}{'|'.join(dict.fromkeys([*filter(None, match[2].split('|')), _pattern(route.path)]))}{match[3]}"
        )

    return _LIMITED_PATHS.sub(add, text)


def without_limit(text: str, route: Route) -> str:
    """The text of `infra/edge.yaml` without the limit per caller for a route."""
    text = re.sub(rf"^ +{re.escape(route.path)}/{route.method}: {{.*}}\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"^( +)Throttle:( #.*)?\n(?!\1 )", r"\1Throttle: {}\2\n", text, flags=re.MULTILINE)
    is_limited = re.search(rf"^ +{re.escape(route.path)}/[A-Z]+: {{", text, re.MULTILINE) is not None

    def remove(match: re.Match[str]) -> str:
        kept = [each for each in match[2].split("|") if is_limited or each != _pattern(route.path)]
        return f"{match[1]}{'|'.join(kept)}{match[3]}"

    return _LIMITED_PATHS.sub(remove, text)


def _pattern(path: str) -> str:
    """The path's alternative in the firewall's regular expression."""
    return re.sub(r"{\w+\+?}", "[^/]+", path.removeprefix("/"))
