"""Processes of the storm test: workers as in Lambda, workers with `run_forever`, and a server of SQS's API."""

import ctypes
import json
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context, queues
from multiprocessing.connection import Connection
from queue import Empty
from typing import Any

from decant import loop
from decant.errors import DatabaseUnavailable
from decant.tasks.registry import registry
from decant.worker import run_forever
from decant.worker.execution import Deadline
from decant.worker.sqs_handler import handle
from tests import storm_tasks

__all__ = ["ForeverWorker", "LambdaWorker", "Message", "Sqs"]

type Message = tuple[str, int]
"""Body, and number of times that it was received."""

_PR_SET_PDEATHSIG = 1
_CLOCKS_S = (-150, 0, 150)
_fork = get_context("fork")


def _become(number: int, place: int) -> None:
    """Use the clock of the process's number, and the version of the code of its place, so that both versions run."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # end with the coordinator, also when it is killed
    offset_s, real, real_ns = _CLOCKS_S[number % len(_CLOCKS_S)], time.time, time.time_ns
    time.time = lambda: real() + offset_s
    time.time_ns = lambda: real_ns() + offset_s * 10**9
    if place % 2:
        registry.pop(storm_tasks.new.name)


class LambdaWorker:
    """A process that runs batches of messages, as the function of a queue does.

    Attributes:
        batch: Messages of the present batch.
    """

    def __init__(self, number: int, place: int) -> None:
        self.pipe, theirs = _fork.Pipe()
        self.process = _fork.Process(target=_run_batches, args=(number, place, theirs), daemon=True)
        self.process.start()
        theirs.close()
        self.batch: list[Message] = []

    def give(self, batch: list[Message]) -> None:
        """Start a batch."""
        self.batch = batch
        with suppress(BrokenPipeError):  # it was killed; `failures` finds it
            self.pipe.send([body for body, _ in batch])

    def failures(self) -> list[Message] | None:
        """Messages to deliver again after the batch; None when the process was killed."""
        try:
            failed = self.pipe.recv()
        except (EOFError, ConnectionError):
            self.process.join()
            return None
        return [self.batch[place] for place in failed]


def _run_batches(number: int, place: int, pipe: Connection) -> None:
    _become(number, place)
    while True:
        bodies = pipe.recv()
        records = [{"messageId": str(place), "body": body, "attributes": {}} for place, body in enumerate(bodies)]
        try:
            report = loop.run(handle(records, Deadline(30)))
        except DatabaseUnavailable:
            pipe.send(list(range(len(bodies))))
        else:
            pipe.send([int(failure["itemIdentifier"]) for failure in report["batchItemFailures"]])


class ForeverWorker:
    """A process with `run_forever`."""

    def __init__(self, number: int, place: int) -> None:
        self.process = _fork.Process(target=_run_forever, args=(number, place), daemon=True)
        self.process.start()


def _run_forever(number: int, place: int) -> None:
    _become(number, place)
    loop.run(run_forever(0.2))


class Sqs:
    """A server of SQS's API in a process of its own, which can be unavailable.

    Attributes:
        url: Address of the queue.
    """

    def __init__(self) -> None:
        self._messages: queues.Queue[list[tuple[float, str]]] = _fork.Queue()  # unbounded
        self._unavailable = _fork.Value("b", 0)
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self._messages, self._unavailable))
        self.url = f"http://127.0.0.1:{server.server_port}/000000000000/default"
        self._process = _fork.Process(target=server.serve_forever, daemon=True)
        self._process.start()
        server.socket.close()

    def set_unavailable(self, *, unavailable: bool) -> None:
        """Respond 503 from now on, or accept messages again."""
        self._unavailable.value = unavailable

    def received(self) -> list[tuple[float, str]]:
        """New messages: the time from which they can be delivered, and the body."""
        messages: list[tuple[float, str]] = []
        with suppress(Empty):
            while True:
                messages += self._messages.get_nowait()
        return messages

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()


def _handler(messages: "queues.Queue[list[tuple[float, str]]]", unavailable: Any) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """SendMessageBatch."""

        protocol_version = "HTTP/1.1"
        log_message: Callable[..., None] = lambda *_: None  # silent

        def do_POST(self) -> None:
            """Accept all messages, or none."""
            entries = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["Entries"]
            now = time.monotonic()
            if unavailable.value:
                self._respond(503, {"__type": "ServiceUnavailable", "message": "storm"})
                return
            messages.put([(now + entry["DelaySeconds"], entry["MessageBody"]) for entry in entries])
            with suppress(ConnectionError):  # the worker was killed
                self._respond(200, {"Successful": [{"Id": entry["Id"], "MessageId": "m"} for entry in entries]})

        def _respond(self, status: int, content: dict[str, Any]) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.0")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler
