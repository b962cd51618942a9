"""Commands in the README and in the pages of `docs/`."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

from tests.loading import ROOT

__all__ = ["PAGES", "SKELETON", "commands", "inline_commands", "shown_requests"]

SKELETON = ROOT / "infra/decant_cloud/scaffold/skeleton"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md")), SKELETON / "README.md"]

_COMMAND = re.compile(r"(?:[A-Z_]+=\S* )*(?:make|decant|\.venv/bin/decant|cd|curl|pip|sam|aws|export) \S.*|[A-Z]+=\S+")
_COMMENT = re.compile(r"\s+# .*$")
_INLINE = re.compile(r"`((?:make|decant) [^`\n]+)`")


def commands(page: Path) -> Iterator[str]:
    """Commands in the page's blocks without a language, without their comments.

    In a block with prompts (`$ `), the other lines are output. A block with another line is no block of commands.
    """
    for block in _blocks(page.read_text()):
        prompts = [line.removeprefix("$ ") for line in block if line.startswith("$ ")]
        if prompts or all(map(_COMMAND.fullmatch, block)):
            yield from (_COMMENT.sub("", line) for line in prompts or block)


def shown_requests(page: Path) -> Iterator[tuple[str, str]]:
    """Commands that the page shows with their output, each with that output; the empty text for none."""
    for block in _blocks(page.read_text()):
        text = "\n".join(block)
        if text.startswith("$ "):
            for part in text.removeprefix("$ ").split("\n$ "):
                command, _, output = part.partition("\n")
                yield command, output


def inline_commands(page: Path) -> Iterator[str]:
    """Commands of `make` and `decant` in the page's text and tables."""
    yield from (" ".join(each.split()) for each in _INLINE.findall(page.read_text()))


def _blocks(text: str) -> Iterator[list[str]]:
    """The lines of each block without a language."""
    lines = iter(text.splitlines())
    for line in lines:
        if line.startswith("```"):
            block = list(itertools.takewhile(lambda each: each != "```", lines))
            if line == "```":
                yield block
