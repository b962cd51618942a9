"""What one figure is, and how all of them are printed."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table

__all__ = ["Measure", "show"]


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One figure.

    Attributes:
        goal: As it is printed, such as `≤ 5`; empty where there is none.
    """

    name: str
    value: float
    unit: str
    goal: str = ""

    @property
    def text(self) -> str:
        """The figure with as many digits as mean something."""
        return f"{self.value:.3g} {self.unit}" if self.value < 100 else f"{self.value:.0f} {self.unit}"


def show(measures: Sequence[Measure], *, as_json: bool) -> None:
    """Print every figure, with the load that the machine has had meanwhile."""
    load = os.getloadavg()[1]
    if as_json:
        print(json.dumps({"load_5_min": load, "measures": [asdict(each) for each in measures]}, indent=2))
        return
    table = Table("measure", "measured", "goal", title=f"The local cloud, at a load of {load:.1f}")
    for each in measures:
        table.add_row(each.name, each.text, f"{each.goal} {each.unit}" if each.goal else "")
    Console().print(table)
