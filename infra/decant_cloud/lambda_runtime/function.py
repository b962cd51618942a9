"""The function of an execution environment, and how its process is started: command, variables, search path."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from decant_cloud.lambda_runtime.debugging import Debugger
from decant_cloud.lambda_runtime.isolation import isolated
from decant_cloud.lambda_runtime.runtime import Launch

__all__ = ["Function"]

PYTHON = "python3.13"
"""Name of the runtime, and of its folders."""


@dataclass(frozen=True, kw_only=True)
class Function:
    """One version of a function.

    Attributes:
        task: Folder of its code: AWS's /var/task.
        layers: Folders of its layers, in the template's order: together AWS's /opt.
        watched: Folders with live files: after a change, the next invocation runs in a new process.
        variables: Environment variables of Lambda, overridden by those of the function.
        debugger: Debugger that the process waits for.
    """

    name: str
    version: str
    handler: str
    timeout_s: float
    memory_mb: int
    task: Path
    layers: Sequence[Path]
    watched: Sequence[Path]
    variables: Mapping[str, str]
    debugger: Debugger | None = None

    def launch(
        self, image: Path, temporary: Path, on_line: Callable[[str], None], arguments: Sequence[str] | None = None
    ) -> Launch:
        """Command and environment of a process of this function.

        Args:
            image: Virtual environment with the packages of AWS's image.
            temporary: Folder for temporary files: AWS's /tmp.
            on_line: Takes each line of its output.
            arguments: Arguments of the interpreter; those that start the runtime client when not given.
        """
        search_path = [
            *(layer / "python/lib" / PYTHON / "site-packages" for layer in reversed(self.layers)),
            *(layer / "python" for layer in reversed(self.layers)),
        ]
        defaults = {
            "LANG": "en_US.UTF-8",
            "PATH": _joined(
                [image / "bin", "/usr/local/bin", "/usr/bin", "/bin", *(each / "bin" for each in self.layers)]
            ),
            "LD_LIBRARY_PATH": _joined([self.task, self.task / "lib", *(each / "lib" for each in self.layers)]),
            "PYTHONPATH": str(image / "lib" / PYTHON / "site-packages"),
        }
        variables = {**defaults, **self.variables}
        variables |= {
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{PYTHON}",
            "LAMBDA_TASK_ROOT": str(self.task),
            "LAMBDA_RUNTIME_DIR": str(image),
            "_HANDLER": self.handler,
            # `-m` puts the working directory, which is the task, first: this is AWS's order.
            "PYTHONPATH": _joined([*search_path, variables["PYTHONPATH"]]),
        }
        python, run = image / "bin/python", arguments or ["-m", "awslambdaric", self.handler]
        command = self.debugger.command(python, run) if self.debugger else [str(python), *run]
        if not (arguments or self.debugger):  # under the debugger, responses are not streamed
            command = [*self._wrapper(), *command]
        waiting = None
        if self.debugger:  # debugpy may be installed anywhere, also outside the folders of a mount namespace
            waiting = temporary / f"debugger-{uuid4().hex}.json"
            variables |= {"TMPDIR": str(temporary), **self.debugger.writes(waiting)}
        else:
            command, own = isolated(command, task=self.task, needed=[image, *self._folders()], temporary=temporary)
            variables |= own
        return Launch(
            command=command,
            folder=self.task,
            variables=variables,
            memory_bytes=sys.maxsize if self.debugger else self.memory_mb * 1024 * 1024,
            freezes=self.debugger is None,
            waiting=waiting,
            on_line=on_line,
        )

    def _wrapper(self) -> list[str]:
        """The wrapper script that AWS_LAMBDA_EXEC_WRAPPER names, if it does; /opt is the layers."""
        path = self.variables.get("AWS_LAMBDA_EXEC_WRAPPER", "")
        in_layers = (
            [layer / path.removeprefix("/opt/") for layer in reversed(self.layers)] if path[:5] == "/opt/" else []
        )
        found = [str(each) for each in in_layers if each.is_file()] or [path]
        return found[:1] if path else []

    def _folders(self) -> list[Path]:
        """The task, the layers, and the targets of their links."""
        links = [entry for layer in self.layers for entry in layer.glob("python/*") if entry.is_symlink()]
        return [folder for folder in (self.task, *self.layers, *links) if folder.is_dir()]


def _joined(entries: Sequence[Path | str]) -> str:
    return ":".join(str(entry) for entry in entries)
