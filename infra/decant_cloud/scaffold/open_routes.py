"""Routes of the template that need neither key nor token: lines of the API's `DefinitionBody`, which SAM merges.

SAM rejects `Authorizer: NONE` and `ApiKeyRequired: false` of an event when the API has no default, as with
`Auth=public`. It takes the same marks from the definition of a path in every case. It merges no routes with the method
ANY.
"""

import re
from collections.abc import Collection

__all__ = ["ANY", "with_open_routes", "without_open_routes"]

ANY = "Method: ANY"
"""A route that takes every method, in the block of a function."""

_BODY = re.compile(r"^      MergeDefinitions: true.*\n      DefinitionBody:\n((?:        .*\n)+)", re.MULTILINE)
_LINE = re.compile(r'^          "?(/[^"\s:]*)"?: {.*}\n', re.MULTILINE)


def with_open_routes(text: str, source: str, paths: Collection[str]) -> str:
    """The template's text with those of the paths that are open in another template, unless it has a route for ANY.

    Args:
        text: The template.
        source: Text of the other template.
        paths: Paths of the routes that are added.
    """
    found = _BODY.search(source)
    lines = "".join(line[0] for line in _LINE.finditer(found[0] if found else "") if line[1] in paths)
    if found is None or not lines or ANY in text:
        return text
    if _BODY.search(text):
        return _BODY.sub(lambda body: body[0] + lines, text, count=1)
    return text.replace("      Auth:\n", _LINE.sub("", found[0]) + lines + "      Auth:\n", 1)


def without_open_routes(text: str, paths: Collection[str] | None = None) -> str:
    """The template's text without the lines of these paths, and without the definition when no path remains.

    SAM would lose all routes with a definition that has no path.

    Args:
        text: The template.
        paths: The paths; None for all.
    """

    def reduced(body: re.Match[str]) -> str:
        kept = _LINE.sub(lambda line: "" if paths is None or line[1] in paths else line[0], body[0])
        return kept if _LINE.search(kept) else ""

    return _BODY.sub(reduced, text, count=1)
