"""The template's text in blocks, a resource or condition each, so that one function's can be copied for another."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

__all__ = ["Block", "blocks_of", "copied"]

_START = re.compile(r"^  (?P<name>\w+):", re.MULTILINE)
_END = re.compile(r"^(  )?\S", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Block:
    """One of the template's second level.

    Attributes:
        end: Where it ends in the whole text.
        text: With the empty lines that follow.
    """

    name: str
    end: int
    text: str


def blocks_of(template: str, function: str, functions: Iterable[str]) -> list[Block]:
    """All blocks of one function: itself and what has its name in front, `UsersGetRole`.

    Args:
        template: Its text.
        function: Logical id.
        functions: Of all functions: `Users` would not have what `UsersGet` has.
    """
    known = sorted(functions, key=len)

    def owner(name: str) -> str | None:
        return next((each for each in reversed(known) if name.startswith(each)), None)

    return [block for block in _blocks(template) if owner(block.name) == function]


def copied(template: str, blocks: Iterable[Block], function: str, new: str) -> str:
    """The template's text with a copy behind each block, in which one function's name is another's."""
    for block in sorted(blocks, key=lambda each: each.end, reverse=True):
        copy = re.sub(rf"\b{function}(?=[A-Z]|\b)", new, block.text)
        template = template[: block.end] + copy + template[block.end :]
    return template


def _blocks(template: str) -> Iterator[Block]:
    for start in _START.finditer(template):
        following = _END.search(template, start.end())
        end = following.start() if following else len(template)
        yield Block(name=start["name"], end=end, text=template[start.start() : end])
