"""The command `decant celery check PATH [--fix]`."""

import re
from collections import Counter
from pathlib import Path

from decant_cloud.celery_check.findings import Kind, findings
from decant_cloud.errors import CommandError

__all__ = ["run"]

_SKIPPED = {".git", ".venv", "venv", "node_modules", "__pycache__", "site-packages"}
_FROM = re.compile(r"^(\s*)from celery(\.[\w.]+)? import ", re.MULTILINE)
_IMPORT = re.compile(r"^(\s*)import celery(?: as (\w+))?$", re.MULTILINE)


def run(path: Path, *, fix: bool) -> int:
    """Print the findings of a file or folder with their files and lines.

    Args:
        path: The file or folder.
        fix: Change the imports of Celery to those of `decant.celery` first.
    Returns:
        Exit status: 1 when something must change.
    Raises:
        CommandError: there is no such path.
    """
    if not path.exists():
        raise CommandError(f"there is no file or folder {path}")
    counts = Counter[Kind]()
    for file in _files(path):
        if fix:
            _fix(file)
        try:
            found = findings(file, file.read_text())
        except (SyntaxError, UnicodeDecodeError) as error:
            print(f"{file}: cannot be read as Python: {error}")
            counts[Kind.CHANGE] += 1
            continue
        counts.update(finding.kind for finding in found)
        for finding in found:
            if finding.kind is not Kind.TASK:
                print(f"{file}:{finding.line}: {_described(finding.kind)}: {finding.text}")
    print(_summary(counts))
    return int(bool(counts[Kind.CHANGE] or counts[Kind.IMPORT]))


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return sorted(file for file in path.rglob("*.py") if not _SKIPPED.intersection(file.relative_to(path).parts))


def _fix(file: Path) -> None:
    before = file.read_text()
    after = _FROM.sub(r"\1from decant.celery\2 import ", before)
    after = _IMPORT.sub(lambda found: f"{found[1]}import decant.celery as {found[2] or 'celery'}", after)
    if after != before:
        file.write_text(after)
        print(f"{file}: imports changed")


def _described(kind: Kind) -> str:
    return "must change (--fix does)" if kind is Kind.IMPORT else str(kind)


def _summary(counts: Counter[Kind]) -> str:
    tasks, change = counts[Kind.TASK], counts[Kind.CHANGE] + counts[Kind.IMPORT]
    return f"{tasks} tasks found; {counts[Kind.DIFFERS]} lines differ in effect, {change} must change"
