"""Routes as people write them: `GET /users/{user_id}`."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile
from typing import Self

from decant_cloud.local.errors import LocalCloudError

__all__ = ["Route"]

_ROUTE = re.compile(r"(?P<method>GET|POST|PUT|PATCH|DELETE) (?P<path>/|(/([\w.~-]+|{[a-z_][a-z0-9_]*}))+)", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Route:
    """A method and a path, with its variables in braces."""

    method: str
    path: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read one.

        Raises:
            LocalCloudError: it is none.
        """
        match = _ROUTE.fullmatch(text)
        if match is None:
            raise LocalCloudError(f'{text!r} is no route; write it as "GET /users/{{user_id}}".')
        return cls(method=match["method"], path=match["path"])

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def variables(self) -> list[str]:
        """Names of what varies in the path."""
        return re.findall(r"{(\w+)}", self.path)

    @property
    def rule(self) -> str:
        """The path as Flask has it."""
        return self.path.replace("{", "<").replace("}", ">")

    def check_beside(self, others: Iterable[Self]) -> None:
        """See that the API can have this route beside others.

        Raises:
            LocalCloudError: it is there already, or a variable of its path has another name there.
        """
        for other in others:
            if other == self:
                raise LocalCloudError(f"The route {self} exists.")
            pairs = list(zip(self.path.split("/"), other.path.split("/"), strict=False))
            same = len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))
            if same < len(pairs) and all(part.startswith("{") for part in pairs[same]):
                mine, theirs = pairs[same]
                raise LocalCloudError(
                    f"{other} has {theirs} where {self} has {mine}; API Gateway takes one name alone."
                )
