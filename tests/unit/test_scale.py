"""The calculator of docs/scale.md."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.loading import ROOT

PAGE = (ROOT / "docs/scale.md").read_text()
EXAMPLES = re.findall(r"^\| `(needed\(.*\))` \| (.*) \|$", PAGE, re.MULTILINE)


@pytest.fixture(scope="module")
def needed() -> Callable[..., dict[str, float]]:
    """The function of the page."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102  # the page's own code
    found: Callable[..., dict[str, float]] = names["needed"]
    return found


@pytest.mark.parametrize(("call", "row"), EXAMPLES)
def test_examples_of_the_calculator(needed: Callable[..., dict[str, float]], call: str, row: str) -> None:
    """The table shows what the function returns."""
    result = eval(call, {"needed": needed})  # noqa: S307  # the page's own code

    assert [float(cell.replace(",", "")) for cell in row.split(" | ")] == [
        pytest.approx(value, abs=0.05 if name == "table_gb" else 0.005) for name, value in result.items()
    ]


def test_calculator_has_examples() -> None:
    """The table was found."""
    assert len(EXAMPLES) == 4


def test_defaults_of_the_calculator_are_those_of_the_table() -> None:
    """Its bytes are the sums of the row with the shortest text."""
    (cells,) = re.findall(r"^\| 10 B \| ((?:[\d,]+ \| ){4}[\d,]+) \|$", PAGE, re.MULTILINE)
    enqueue, run, table, indexes, _deletion = (int(cell.replace(",", "")) for cell in cells.split(" | "))

    assert f"log_bytes: int = {enqueue + run:_}," in PAGE
    assert f"row_bytes: int = {table + indexes:_}," in PAGE
