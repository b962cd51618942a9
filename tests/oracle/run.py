"""Run the cases of the oracle, and print what they have returned: `python -m tests.oracle.run`.

`celery` is the importable module of this name: the real one in `make oracle`, `decant.celery` in `make test`.
"""

import importlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["PROGRAM", "cases", "observe"]

PROGRAM = ("calls", "failures", "workflows", "apps", "signals")


def cases() -> dict[str, Callable[[], Any]]:
    """The cases by name."""
    found: dict[str, Callable[[], Any]] = {}
    for name in PROGRAM:
        module = importlib.import_module(f"tests.oracle.program.{name}")
        found |= {f"{name}.{each[5:]}": getattr(module, each) for each in vars(module) if each.startswith("case_")}
    return found


def observe(case: Callable[[], Any]) -> Any:
    """What a case returns, as JSON; its error if it raises one."""
    try:
        return json.loads(json.dumps(case()))
    except Exception as error:  # noqa: BLE001  # every error is compared
        return {"raised": type(error).__name__, "message": str(error)[:300]}


def main() -> None:
    """Write the observations of cases to a file as JSON: of a part such as `0/4`, or of those whose names are given."""
    path, *names = sys.argv[1:]
    found = cases()
    if "/" in names[0]:
        part, of = map(int, names[0].split("/"))
        names = list(found)[part::of]
    Path(path).write_text(json.dumps({name: observe(found[name]) for name in names if name in found}))


if __name__ == "__main__":
    main()
    os._exit(0)  # results of Celery raise in `__del__` while the interpreter shuts down
