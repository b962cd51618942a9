"""Findings in source code, with file and line: what `decant celery check` and `decant pour` report."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

__all__ = ["SKIPPED", "Finding", "Kind", "printed", "scan"]

SKIPPED = frozenset({"__pycache__", "node_modules", "site-packages", "venv"})
"""Names of folders whose files are not read, beside those that start with a dot."""


class Kind(StrEnum):
    """Effect of a finding."""

    TASK = "task"
    FIXED = "fixed"
    DIFFERS = "differs"
    IMPORT = "import"
    CHANGE = "must change"


@dataclass(frozen=True, order=True)
class Finding:
    """A place in the code.

    Attributes:
        line: Line, from 1.
        kind: Effect.
        text: What is found, and what to do.
    """

    line: int
    kind: Kind
    text: str


def scan(path: Path, find: Callable[[Path, str], list[Finding]]) -> Iterator[tuple[Path, list[Finding]]]:
    """The findings of each Python file below a path; a file that cannot be parsed is a finding.

    Args:
        path: A file or folder.
        find: Returns the findings of a file, given its path and its text.
    """
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*.py") if not _is_skipped(file, path))
    for file in files:
        try:
            yield file, find(file, file.read_text())
        except (SyntaxError, UnicodeDecodeError) as error:
            line = getattr(error, "lineno", None) or 1
            yield file, [Finding(line, Kind.CHANGE, f"The file cannot be read as Python: {error}")]


def printed(file: Path | str, finding: Finding) -> str:
    """The line that reports a finding."""
    effect = "must change (--fix does)" if finding.kind is Kind.IMPORT else finding.kind
    return f"{file}:{finding.line}: {effect}: {finding.text}"


def _is_skipped(file: Path, folder: Path) -> bool:
    return any(part in SKIPPED or part.startswith(".") for part in file.relative_to(folder).parts)
