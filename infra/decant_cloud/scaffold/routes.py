"""Routes as people write them: `GET /users/{user_id}`."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile
from typing import Self

from decant_cloud.errors import CommandError

__all__ = ["METHODS", "Route"]

_PART = r"[\w.~-]+|{[a-z_][a-z0-9_]*\+?}"
_ROUTE = re.compile(rf"(?P<method>GET|POST|PUT|PATCH|DELETE|ANY) (?P<path>/|(/({_PART}))+)", re.ASCII)
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
_UUID = "0193a5b0-6c1e-4c3a-9f5d-2f1f0c7a4e11"


@dataclass(frozen=True, kw_only=True)
class Route:
    """A method and a path, with its variables in braces."""

    method: str
    path: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a route.

        Raises:
            CommandError: The text is not a route.
        """
        match = _ROUTE.fullmatch(text)
        if match is None or "+}" in text[:-2]:
            raise CommandError(
                f'{text!r} is not a route. Write it as "GET /users/{{user_id}}", or "ANY /{{proxy+}}" for all paths.'
            )
        return cls(method=match["method"], path=match["path"])

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def variables(self) -> list[str]:
        """Names of the path's variables."""
        return re.findall(r"{(\w+)\+?}", self.path)

    @property
    def rule(self) -> str:
        """The path as Flask writes it."""
        return re.sub(r"{(\w+)}", r"<\1>", re.sub(r"{(\w+)\+}", r"<path:\1>", self.path))

    @property
    def decorator(self) -> str:
        """The decorator of a view."""
        if self.method == "ANY":
            return f'route("{self.rule}", methods={METHODS})'.replace("'", '"')
        return f'{self.method.lower()}("{self.rule}")'

    @property
    def name(self) -> str:
        """Name for a function: `rooms_list` for `GET /rooms`, `rooms_get` for `GET /rooms/{room_id}`."""
        parts = [re.sub(r"\W", "_", part) for part in self.path.split("/") if part and not part.startswith("{")]
        if self.method == "ANY":
            return "_".join([*parts, "proxy"])
        verbs = {"GET": "get", "POST": "create", "PUT": "replace", "PATCH": "update", "DELETE": "delete"}
        ends_in_variable = self.path.endswith("}")
        if len(parts) > 1 and not ends_in_variable and self.method == "POST":
            return "_".join([parts[0], *parts[1:]])  # POST /rooms/{room_id}/cancel: rooms_cancel
        verb = "list" if self.method == "GET" and not ends_in_variable else verbs[self.method]
        return "_".join([*parts, verb] if parts else ["index", verb])

    def example(self, variable: str) -> str:
        """Value of a variable in the event: a UUID for an id."""
        return _UUID if variable == "id" or variable.endswith("_id") else "example"

    @property
    def example_path(self) -> str:
        """The path with the examples of its variables."""
        return re.sub(r"{(\w+)\+?}", lambda match: self.example(match[1]), self.path)

    def check_beside(self, others: Iterable[Self]) -> None:
        """Check that the API can have this route beside others.

        Raises:
            CommandError: It exists, or a variable of its path has another name in another route.
        """
        for other in others:
            if other == self:
                raise CommandError(f"The route {self} exists.")
            pairs = list(zip(self.path.split("/"), other.path.split("/"), strict=False))
            same = len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))
            if same < len(pairs) and all(part.startswith("{") and "+" not in part for part in pairs[same]):
                mine, theirs = pairs[same]
                raise CommandError(
                    f"{other} has {theirs} where {self} has {mine}. API Gateway accepts one name: write {theirs}."
                )
