"""One process of the runtime client: its calls, its output, its end.

A runtime has no thread: the caller of an invocation runs it, and between invocations it is stopped with SIGSTOP, as
AWS freezes an environment. Its timers, connections and leftover tasks see the same pauses that they will see there.
"""

import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from decant_cloud.lambda_runtime.response_stream import ClientDisconnected, ResponseBuffer, ResponseStream
from decant_cloud.lambda_runtime.runtime_api import Call, Connection, ConnectionClosed, listen
from decant_cloud.local.warden import Warden

__all__ = ["DeadlinePassed", "Launch", "OutOfMemory", "Runtime", "RuntimeExited"]

_LOOK_EVERY_S = 0.05
"""Seconds between two checks of a busy process: its memory, and whether it has ended without closing its socket."""

_AWAKE_AFTER_S = 0.02
"""A thread that is waking may receive a signal in place of Python's main thread."""

_READ_BYTES = 64 * 1024


class DeadlinePassed(Exception):
    """The runtime did not call before its deadline."""


class OutOfMemory(Exception):
    """The runtime holds more memory than its function may."""


class RuntimeExited(Exception):
    """The process ended.

    Attributes:
        status: As in `subprocess.Popen.returncode`: negative is a signal.
    """

    def __init__(self, status: int) -> None:
        super().__init__(f"exited with status {status}")
        self.status = status


@dataclass(frozen=True, kw_only=True)
class Launch:
    """What a runtime's process is started with.

    Attributes:
        command: Interpreter and arguments.
        variables: Its whole environment, but for the Runtime API's address.
        memory_bytes: The most that it may hold.
        on_line: Takes each line of its output, without the line's end.
        freezes: Whether it stands still between invocations.
        waiting: File that exists once the process waits for a debugger.
    """

    command: Sequence[str]
    folder: Path
    variables: Mapping[str, str]
    memory_bytes: int
    on_line: Callable[[str], None]
    freezes: bool = True
    waiting: Path | None = None


class Runtime:
    """One running process and its side of the Runtime API.

    Attributes:
        peak_memory_bytes: The most memory that it was seen to hold.
    """

    def __init__(self, launch: Launch, warden: Warden) -> None:
        self.peak_memory_bytes = 0
        self._look_at = 0.0
        self._launch = launch
        self._on_line = launch.on_line
        self._partial_line = b""
        self._output_open = True
        self._selector = selectors.DefaultSelector()
        self._listener = listen()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._output, output_end = os.pipe()
        os.set_blocking(self._output, False)
        self._selector.register(self._output, selectors.EVENT_READ)
        host, port = self._listener.getsockname()
        try:
            self._process = subprocess.Popen(
                launch.command,
                cwd=launch.folder,
                env={**launch.variables, "AWS_LAMBDA_RUNTIME_API": f"{host}:{port}"},
                stdin=subprocess.DEVNULL,
                stdout=output_end,
                stderr=output_end,
                start_new_session=True,  # a process group of its own: what the function starts ends with it
            )
        except OSError:
            self._close()
            raise
        finally:
            os.close(output_end)
        self._warden = warden
        warden.hold(-self.pid)

    @property
    def pid(self) -> int:
        """Of the process, and of its process group."""
        return self._process.pid

    def next_call(self, deadline: float) -> Call:
        """Wait for the runtime's next call; its output is read all the while.

        Args:
            deadline: On the monotonic clock.
        Raises:
            DeadlinePassed: no call came in time.
            OutOfMemory: it went over its memory.
            RuntimeExited: the process ended, or hung up.
        """
        while True:
            remaining_s = deadline - time.monotonic()
            if remaining_s <= 0:
                raise DeadlinePassed
            ready = self._selector.select(min(remaining_s, _LOOK_EVERY_S))
            calls = [call for key, _events in ready if (call := self._take(key)) is not None]
            if calls:
                if calls[0].action != "next" or not self.peak_memory_bytes:  # once in each invocation and init phase
                    self._check_memory()
                self.flush_output()
                return calls[0]
            if not ready or time.monotonic() >= self._look_at:
                self._look()

    def wait_for(self, file: Path, deadline: float) -> None:
        """Wait until the process has written a file; raises what `next_call` does."""
        while not file.exists():
            self._check(deadline)
            time.sleep(_LOOK_EVERY_S)

    def copy_body(self, call: Call, deadline: float, to: ResponseStream | ResponseBuffer) -> Mapping[str, str]:
        """Pass the body of a streamed response on while it arrives, no faster than it is taken.

        Args:
            call: Call with `chunks`.
            deadline: On the monotonic clock.
            to: Takes the parts.
        Returns:
            Trailers; without the header of a function's error, the response is complete.
        Raises:
            ClientDisconnected: the client reads no more; the connection is closed, so that the runtime can notice.
            ConnectionClosed: the runtime closed the connection before the end of the body.
            DeadlinePassed: the response was not complete in time.
            OutOfMemory: it went over its memory.
            RuntimeExited: the process ended.
        """
        chunks = call.chunks
        assert chunks is not None  # noqa: S101  # the caller has looked
        try:
            while True:
                for part in chunks.parts():
                    while not to.offer(part, _LOOK_EVERY_S):
                        self._check(deadline)
                if chunks.is_complete:
                    return chunks.trailers
                to.check()
                for key, _events in self._selector.select(_LOOK_EVERY_S):
                    if key.data is call.connection:
                        chunks.receive()
                    else:
                        self._take(key)
                self._check(deadline)
        except (ClientDisconnected, ConnectionClosed):
            self._drop(call.connection)
            raise

    def _check(self, deadline: float) -> None:
        """Check time, memory and life of the process."""
        if time.monotonic() >= deadline:
            raise DeadlinePassed
        self._read_output()
        self._look()

    def _look(self) -> None:
        """Check memory and life of the process."""
        self._look_at = time.monotonic() + _LOOK_EVERY_S
        self._check_memory()
        if self._process.poll() is not None:
            self.flush_output()
            raise RuntimeExited(self._process.returncode)

    def _check_memory(self) -> None:
        self.peak_memory_bytes = max(self.peak_memory_bytes, _peak_memory_bytes(self.pid))
        if self.peak_memory_bytes > self._launch.memory_bytes:
            raise OutOfMemory

    def flush_output(self) -> None:
        """Pass on all that the process has written so far."""
        self._read_output()
        if self._partial_line:
            self._on_line(self._partial_line.decode(errors="replace"))
            self._partial_line = b""

    def freeze(self) -> None:
        """Stop the process and its children until `thaw`."""
        if self._launch.freezes:
            self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen process run on."""
        self._signal(signal.SIGCONT)

    def abort(self) -> None:
        """End the process and its children, from any thread; a thread that waits for its next call is woken."""
        self._signal(signal.SIGKILL)

    def close(self, grace_s: float = 0) -> None:
        """End the process and its children, by SIGTERM if that does it in time, and free what it held here."""
        if grace_s:
            self._signal(signal.SIGCONT)
            time.sleep(_AWAKE_AFTER_S)
            self._signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(grace_s)
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._warden.release(-self.pid)
        self.flush_output()
        self._close()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):  # the whole group has ended
            os.killpg(self.pid, number)

    def _take(self, ready: selectors.SelectorKey) -> Call | None:
        """Take in what one source holds; the call, when that made one whole."""
        match ready.data:
            case Connection() as connection:
                return self._read(connection)
            case _ if ready.fileobj is self._listener:
                accepted, _address = self._listener.accept()
                self._selector.register(accepted, selectors.EVENT_READ, Connection(accepted))
            case _:
                self._read_output()
        return None

    def _read(self, connection: Connection) -> Call | None:
        try:
            return connection.read()
        except ConnectionClosed:
            self._drop(connection)
            return None

    def _drop(self, connection: Connection) -> None:
        self._selector.unregister(connection.socket)
        connection.socket.close()

    def _read_output(self) -> None:
        while self._output_open:
            try:
                data = os.read(self._output, _READ_BYTES)
            except BlockingIOError:
                return
            if not data:
                self._output_open = False
                self._selector.unregister(self._output)
            *lines, self._partial_line = (self._partial_line + data).split(b"\n")
            for line in lines:
                self._on_line(line.decode(errors="replace"))

    def _close(self) -> None:
        for key in list(self._selector.get_map().values()):
            if isinstance(key.fileobj, socket.socket):
                key.fileobj.close()
        os.close(self._output)
        self._selector.close()


def _peak_memory_bytes(pid: int) -> int:
    if sys.platform != "linux":
        return int(psutil.Process(pid).memory_info().rss) if psutil.pid_exists(pid) else 0
    with suppress(FileNotFoundError, ProcessLookupError), Path(f"/proc/{pid}/status").open("rb", buffering=0) as status:
        _before, found, after = status.read().partition(b"VmHWM:")
        return int(after.split(maxsplit=1)[0]) * 1024 if found else 0
    return 0
