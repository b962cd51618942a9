"""A small debugger: attaches over a socket as an editor does, stops at lines, and goes on.

Source: https://microsoft.github.io/debug-adapter-protocol/specification
"""

import json
import socket
from pathlib import Path
from typing import Any, Self

__all__ = ["Debugger", "attach_settings"]

_PATIENCE_S = 120


def attach_settings(root: Path) -> dict[str, Any]:
    """What `.vscode/launch.json` attaches with in an editor that has a folder open."""
    text = (root / ".vscode/launch.json").read_text().replace("${workspaceFolder}", str(root))
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("//")]
    settings: dict[str, Any] = json.loads("\n".join(lines))["configurations"][0]
    return settings


class Debugger:
    """Attached to a function's process, which runs on when it leaves; a context manager.

    Args:
        port: Where the process waits by now, on loopback.
        file: Where it is to stop first.
        line: The line there, from 1.
        settings: What to attach with.
    """

    def __init__(self, port: int, file: Path, line: int, settings: dict[str, Any]) -> None:
        self._port = port
        self._first = (file, line)
        self._settings = settings
        self._sequence = 0
        self._kept: list[dict[str, Any]] = []
        self._seen: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        with socket.create_connection(("127.0.0.1", self._port), timeout=_PATIENCE_S) as connection:
            self._stream = connection.makefile("rwb")  # which keeps the connection
        try:
            self._attach()
        except BaseException:
            self._stream.close()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        with self._stream:
            self._ask("disconnect", {"terminateDebuggee": False})
            self._wait("response", "disconnect")

    def break_at(self, file: Path, line: int) -> None:
        """Have the process stop at a line, in place of any other in the file."""
        self._ask("setBreakpoints", {"source": {"path": str(file)}, "breakpoints": [{"line": line}]})
        self._wait("response", "setBreakpoints")

    def stopped_at(self) -> tuple[str, int]:
        """Wait until the process stops; the file and the line, as the editor has them."""
        self._thread = self._wait("event", "stopped")["threadId"]
        self._ask("stackTrace", {"threadId": self._thread, "levels": 1})
        frame = self._wait("response", "stackTrace")["stackFrames"][0]
        return frame["source"]["path"], frame["line"]

    def go_on(self) -> None:
        """Let the process run on."""
        self._ask("continue", {"threadId": self._thread})

    def _attach(self) -> None:
        self._ask("initialize", {"adapterID": "test", "pathFormat": "path", "linesStartAt1": True})
        self._ask("attach", self._settings)
        self._wait("event", "initialized")
        self.break_at(*self._first)
        self._ask("configurationDone", {})
        self._wait("response", "attach")

    def _ask(self, command: str, arguments: dict[str, Any]) -> None:
        self._sequence += 1
        message = {"seq": self._sequence, "type": "request", "command": command, "arguments": arguments}
        body = json.dumps(message).encode()
        self._stream.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self._stream.flush()

    def _wait(self, kind: str, name: str) -> Any:
        """The body of the next message of a kind; others may come before it, and are kept until they are wanted."""
        passed: list[dict[str, Any]] = []
        while True:
            message = self._kept.pop(0) if self._kept else self._read()
            if message["type"] == kind and name in {message.get("event"), message.get("command")}:
                assert message.get("success", True), message
                self._kept = passed + self._kept
                return message.get("body")
            passed.append(message)

    def _read(self) -> dict[str, Any]:
        headers = iter(lambda: self._stream.readline().strip(), b"")
        lengths = [int(line.partition(b":")[2]) for line in headers if line.lower().startswith(b"content-length")]
        assert lengths, f"the debugger closed the connection after it sent {self._seen}"
        message: dict[str, Any] = json.loads(self._stream.read(lengths[0]))
        self._seen.append(message)
        return message
