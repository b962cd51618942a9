"""Bars of Decant and its peers, drawn from the JSON of a benchmark."""

import json
import textwrap
from typing import Any

from tests.pictures import svg

__all__ = ["draw"]

WIDTH, MARGIN, LABEL, VALUE = 760, 20, 190, 150
BAR, STEP, TITLE = 16, 22, 28
SHOWN = 4
"""Comparisons of a picture: the first of the benchmark."""


def draw(measured: str) -> str:
    """The picture, as SVG.

    Args:
        measured: JSON that `tests.benchmarks.results.write` has written.
    """
    found = json.loads(measured)
    parts: list[str] = []
    y = 16.0
    for comparison in found["comparisons"][:SHOWN]:
        parts += _bars(comparison, y)
        y += TITLE + STEP * len(comparison["values"]) + 14
    for row in textwrap.wrap(_caption(found["about"]), 118):
        parts.append(svg.text(MARGIN, y + 8, row, "dim small"))
        y += 15
    titles = "; ".join(each["title"] for each in found["comparisons"][:SHOWN])
    return svg.document(WIDTH, y + 14, parts, label=f"Benchmark: {titles}")


def _bars(comparison: dict[str, Any], top: float) -> list[str]:
    values: dict[str, float] = comparison["values"]
    better = "more is better" if comparison["more_is_better"] else "less is better"
    longest = max(values.values()) or 1
    own = next(iter(values))
    parts = [
        svg.text(MARGIN, top + 14, comparison["title"], "title"),
        svg.text(WIDTH - MARGIN, top + 14, f"{comparison['unit']}, {better}", "dim small", anchor="end"),
    ]
    for number, (system, value) in enumerate(values.items()):
        y = top + TITLE + STEP * number
        width = max(2, (WIDTH - 2 * MARGIN - LABEL - VALUE) * value / longest)
        is_own = system.split(",")[0] == own
        ratio = "" if is_own or not value else f"  (Decant: {_ratio(values[own] / value)} times)"
        parts += [
            svg.text(MARGIN, y + 12.5, system, "title" if is_own else ""),
            svg.box(MARGIN + LABEL, y, width, BAR, "own" if is_own else "other"),
            svg.text(MARGIN + LABEL + width + 8, y + 12.5, f"{_number(value)}{ratio}", "small"),
        ]
    return parts


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _ratio(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _caption(about: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    machine = f"{about['date']}, {about['machine']}, load {about['load']}"
    return f"{machine}, Python {about['python']}, {versions}"
