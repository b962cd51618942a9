"""Tables of the documentation whose rows have tests."""

import re

from tests.loading import ROOT

__all__ = ["is_a_test", "rows"]


def rows(page: str) -> list[str]:
    """The rows of a page's tables that say same, different or unsupported, without the first bar."""
    return [line[2:] for line in page.splitlines() if re.search(r"\| (same|different|unsupported) \|", line)]


def is_a_test(name: str) -> bool:
    """Whether there is a test of this name, `file.py::test_name`."""
    file, _, test = name.partition("::")
    return any(f"def {test}(" in path.read_text() for path in (ROOT / "tests").glob(f"*/{file}"))
