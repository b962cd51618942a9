"""Find the file and line of an error that the runtime client reports without: `Runtime.ImportModuleError`."""

import subprocess
from pathlib import Path

from decant_cloud.lambda_runtime.function import Function

__all__ = ["import_trace"]

_TIMEOUT_S = 10
_IMPORT = "__import__(__import__('sys').argv[1])"


def import_trace(function: Function, image: Path, temporary: Path) -> str:
    """Import the function's module once more, in a process of its own, and return the traceback of the error.

    Args:
        function: Function whose module cannot be imported.
        image: Virtual environment that holds what AWS's image holds.
        temporary: Folder for temporary files.
    Returns:
        Log line in the format of the runtime client's own tracebacks, which separates lines by carriage returns.
    """
    module = function.handler.rpartition(".")[0].replace("/", ".")
    launch = function.launch(image, temporary, lambda _line: None, ["-c", _IMPORT, module])
    try:
        done = subprocess.run(
            launch.command,
            cwd=launch.folder,
            env=dict(launch.variables),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"[ERROR] The import of {module} took longer than {_TIMEOUT_S} s"
    _before, head, trace = done.stderr.rpartition("Traceback (most recent call last):\n")
    lines = [line for line in trace.splitlines() if '"<string>"' not in line and _IMPORT not in line]
    return "\r".join([f"[ERROR] {head.strip()}", *lines])
