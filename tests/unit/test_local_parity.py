"""The page that compares the local cloud with AWS, and the tests that it names."""

import re

import pytest

from tests.loading import ROOT

HEAD = "| behaviour | AWS | here | test |"


def rows() -> list[str]:
    """Each row of the page's comparisons."""
    blocks = (ROOT / "docs/local-cloud.md").read_text().split(HEAD)[1:]
    return [row for block in blocks for row in block.split("\n\n")[0].splitlines()[2:]]


def written() -> set[str]:
    """The name of each test in this repository."""
    files = (ROOT / "tests").rglob("test_*.py")
    return {
        name for file in files for name in re.findall(r"^(?:async )?def (test_\w+)", file.read_text(), re.MULTILINE)
    }


@pytest.mark.parametrize("row", rows())
def test_row_names_its_tests(row: str) -> None:
    """Each names tests that there are, or says that there are none."""
    cell = row.split("|")[4].strip()

    names = set(re.findall(r"`(test_\w+)`", cell))

    assert names or cell == "none"
    assert names <= written()


def test_threats_name_tests_that_exist() -> None:
    """Each test that the threat table names is in the file that it names."""
    named = re.findall(r"`(\w+/test_\w+\.py)::(test_\w+)`", (ROOT / "docs/local-cloud.md").read_text())

    missing = [name for file, name in named if f"def {name}(" not in (ROOT / "tests" / file).read_text()]

    assert named
    assert missing == []
