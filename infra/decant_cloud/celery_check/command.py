"""The command `decant celery check PATH [--fix]`."""

import re
from collections import Counter
from pathlib import Path

from decant_cloud.celery_check.findings import findings
from decant_cloud.errors import CommandError
from decant_cloud.findings import Finding, Kind, printed, scan

__all__ = ["run"]

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
    for file, found in scan(path, _fixed if fix else findings):
        counts.update(finding.kind for finding in found)
        for finding in found:
            if finding.kind is not Kind.TASK:
                print(printed(file, finding))
    print(_summary(counts))
    return int(bool(counts[Kind.CHANGE] or counts[Kind.IMPORT]))


def _fixed(file: Path, before: str) -> list[Finding]:
    """The findings of a file after its imports were changed."""
    after = _FROM.sub(r"\1from decant.celery\2 import ", before)
    after = _IMPORT.sub(lambda found: f"{found[1]}import decant.celery as {found[2] or 'celery'}", after)
    if after != before:
        file.write_text(after)
        print(f"{file}: imports changed")
    return findings(file, after)


def _summary(counts: Counter[Kind]) -> str:
    tasks, change = counts[Kind.TASK], counts[Kind.CHANGE] + counts[Kind.IMPORT]
    return f"tasks: {tasks}, lines that differ in effect: {counts[Kind.DIFFERS]}, lines that must change: {change}"
