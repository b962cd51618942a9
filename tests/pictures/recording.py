"""A recording of a command in a terminal: its lines appear when the command printed them."""

import os
import signal
import subprocess
import textwrap
import time
from dataclasses import dataclass

from tests.loading import ROOT
from tests.pictures import svg

__all__ = ["record"]

COLUMNS, ROWS = 112, 24
WIDTH, LINE = 860, 18
HOLD_S = 6.0
"""Time for which the last picture stays, before the recording starts again."""
_LAST = "Ctrl-C stops everything"
"""What the last line contains."""


@dataclass(frozen=True)
class Printed:
    """A line and when it was complete, seconds after the start."""

    at_s: float
    line: str


def record(command: list[str]) -> str:
    """Run a command until it prints its last line, interrupt it, and draw what it printed, as SVG."""
    return draw(" ".join(command), _run(command))


def draw(title: str, printed: list[Printed]) -> str:
    """The recording: each line becomes visible at its time, and all of it repeats."""
    shown = printed if len(printed) <= ROWS else [*printed[: ROWS - 2], Printed(printed[-1].at_s, "…"), printed[-1]]
    lasts_s = (shown[-1].at_s if shown else 0) + HOLD_S
    parts = [svg.text(20, 30, f"$ {title}", "code title")]
    rules = ["\n  .row { opacity: 0; animation-iteration-count: infinite; }\n"]
    for number, each in enumerate(shown):
        hidden, seen = f"0%, {100 * each.at_s / lasts_s:.2f}%", f"{100 * each.at_s / lasts_s + 0.01:.2f}%, 100%"
        rules.append(
            f"  @keyframes row{number} {{ {hidden} {{ opacity: 0; }} {seen} {{ opacity: 1; }} }}\n"
            f"  .row{number} {{ animation-name: row{number}; animation-duration: {lasts_s:.2f}s; }}\n"
        )
        line = svg.text(20, 54 + LINE * number, textwrap.shorten(each.line, COLUMNS, placeholder=" …"), "code")
        parts.append(f'<g class="row row{number}">{line}</g>')
    rules.append("  @media (prefers-reduced-motion: reduce) { .row { animation: none; opacity: 1; } }\n")
    height = 54 + LINE * len(shown) + 12
    return svg.document(WIDTH, height, parts, label=f"A terminal that runs {title}", style="".join(rules))


def _run(command: list[str]) -> list[Printed]:
    started = time.monotonic()
    printed: list[Printed] = []
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                printed.append(Printed(time.monotonic() - started, line.rstrip()))
                if _LAST in line:
                    break
        finally:
            os.killpg(process.pid, signal.SIGINT)
            process.communicate()
    return printed
