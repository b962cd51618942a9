"""How tests load the bundle's functions, and run code in processes of its own."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

__all__ = ["ROOT", "load_function", "load_module", "run_python"]

ROOT = Path(__file__).resolve().parents[1]


def load_function(name: str) -> ModuleType:
    """Import `functions/<name>/app.py` anew, as Lambda does at a cold start."""
    return load_module(ROOT / "functions" / name / "app.py")


def load_module(path: Path) -> ModuleType:
    """Import one file anew, under a name of its own."""
    spec = importlib.util.spec_from_file_location(f"{path.parent.name}_app", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_python(code: str) -> str:
    """Run code in a process of its own, with this one's environment; its standard output."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'shared'}"}
    command = [sys.executable, "-c", code]
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    return finished.stdout
