"""The prices of docs/workflows.md."""

import re

import pytest

from tests.loading import ROOT

PAGE = (ROOT / "docs/workflows.md").read_text()
ROWS = re.findall(r"^\| .* \| `dollars\(([\d_]+), ([\d_]+)\)` \| ([\d.]+) \|$", PAGE, re.MULTILINE)


def dollars(steps: int, wakeups: int, *, step_bytes: int = 190, kept_days: float = 7) -> float:
    """Messages, invocations and storage of recorded steps.

    Args:
        steps: Recorded steps.
        wakeups: Claims of runs: one for the start, and one for each sleep, signal or child that suspends a run.
        step_bytes: Bytes of a step in table and index; see below.
        kept_days: TASK_RESULT_EXPIRES_S.
    """
    messages = wakeups * 1.2 * 0.40 / 1e6  # SQS: sent one by one, received and deleted ten at a time
    invocations = wakeups / 10 * 0.20 / 1e6  # Lambda
    storage = steps * step_bytes / 1e9 * 0.10 * kept_days / 30  # Aurora, a GB-month
    return messages + invocations + storage


@pytest.mark.parametrize(("steps", "wakeups", "shown"), ROWS)
def test_table_shows_what_the_function_returns(steps: str, wakeups: str, shown: str) -> None:
    """To the cent."""
    assert f"{dollars(int(steps), int(wakeups)):.2f}" == shown


def test_table_has_rows() -> None:
    """The table was found."""
    assert len(ROWS) == 3


@pytest.mark.parametrize("price", ["| SQS | 0.40 per million", "| Lambda, x86 | 0.20 per million", "0.10 per GB-month"])
def test_prices_are_those_of_production(price: str) -> None:
    """Of SQS, Lambda and Aurora."""
    assert price in (ROOT / "docs/production.md").read_text()
