"""What a benchmark measured, as JSON in `.decant/measured/`: `make pictures` draws it."""

import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from tests.loading import ROOT

__all__ = ["FOLDER", "Comparison", "write"]

FOLDER = ROOT / ".decant/measured"
_LABELS = {"decant": "Decant"}


@dataclass(frozen=True)
class Comparison:
    """One measure of Decant and its peers.

    Attributes:
        title: What was measured.
        unit: Unit of the values.
        values: Median by system; Decant's is the first.
        more_is_better: Whether a larger value is a better one.
    """

    title: str
    unit: str
    values: Mapping[str, float]
    more_is_better: bool = True


def write(name: str, comparisons: Sequence[Comparison], packages: Iterable[str]) -> Path:
    """Write the comparisons of a benchmark, with date, machine, versions and load; returns the file.

    Args:
        name: Name of the benchmark, as in `make bench-<name>`.
        comparisons: What it measured.
        packages: Names of the packages whose versions matter.
    """
    about = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}",
        "python": platform.python_version(),
        "load": round(os.getloadavg()[1], 1),
        "versions": {package: version(package) for package in packages},
    }
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{name}.json"
    measured = [
        asdict(each) | {"values": {_LABELS.get(system, system): value for system, value in each.values.items()}}
        for each in comparisons
    ]
    path.write_text(json.dumps({"about": about, "comparisons": measured}, indent=2, ensure_ascii=False) + "\n")
    return path
