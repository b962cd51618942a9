"""Run the cases of the oracle, and print what they have returned: `python -m tests.oracle.run`.

`celery` is whatever can be imported under this name: the real one in `make oracle`, `decant.celery` in `make test`.
"""

import importlib
import json
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
    except Exception as error:  # noqa: BLE001  # whatever it is, it is compared
        return {"raised": type(error).__name__, "message": str(error)[:300]}


def main() -> int:
    """Write the observations of all cases, or of those whose names are given, to a file as JSON."""
    path, names = Path(sys.argv[1]), sys.argv[2:]
    chosen = {name: case for name, case in cases().items() if not names or name in names}
    observed = {name: observe(case) for name, case in chosen.items()}  # Celery's client is not safe in threads
    path.write_text(json.dumps(observed, indent=2, ensure_ascii=False, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
