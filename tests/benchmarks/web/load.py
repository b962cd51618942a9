"""Clients: as many connections as asked for, each with one request in flight."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Load", "download", "run"]


@dataclass(frozen=True, kw_only=True)
class Load:
    """What came back.

    Attributes:
        answered: Requests with status 200.
        failed: Requests with another status, or none.
        lasted_s: From the first request to the last answer.
        p50_s: Time that half of the requests took at most.
    """

    answered: int
    failed: int
    lasted_s: float
    p50_s: float

    @property
    def per_s(self) -> float:
        """Answers a second."""
        return self.answered / self.lasted_s


class _Client(asyncio.Protocol):
    """One connection: sends the request again as soon as its answer is whole, until it is stopped."""

    def __init__(self, request: bytes, goes_on: Callable[[], bool]) -> None:
        self.request = request
        self.goes_on = goes_on
        self.statuses: list[bool] = []
        self.taken_s: list[float] = []
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.send()

    def send(self) -> None:
        self.received = bytearray()
        self.expected = -1
        self.started = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.received += data
        if self.expected < 0 and (end := self.received.find(b"\r\n\r\n")) >= 0:
            head = bytes(self.received[:end]).lower()
            length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
            self.expected = end + 4 + int(length or 0)
        if 0 <= self.expected <= len(self.received):
            self.statuses.append(self.received.startswith(b"HTTP/1.1 200"))
            self.taken_s.append(time.perf_counter() - self.started)
            if self.goes_on():
                self.send()
            else:
                self.transport.close()

    def connection_lost(self, _error: Exception | None) -> None:
        if not self.statuses or self.goes_on():
            self.statuses.append(False)
        if not self.done.done():
            self.done.set_result(None)


def request(method: str, path: str, body: bytes = b"") -> bytes:
    """A request's bytes."""
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: bench",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def run(port: int, message: bytes, *, clients: int, lasting_s: float, patience_s: float = 10) -> Load:
    """Let clients repeat the request for a time; with a time of 0, once each.

    Args:
        port: Of the server on loopback.
        message: The request.
        clients: How many at a time.
        lasting_s: How long new requests are sent.
        patience_s: How long after that an answer is waited for.
    """
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    ends = started + lasting_s

    async def client() -> _Client:
        _, made = await loop.create_connection(
            lambda: _Client(message, lambda: time.perf_counter() < ends), "127.0.0.1", port
        )
        return made

    made = await asyncio.gather(*(client() for _ in range(clients)))
    _, late = await asyncio.wait([each.done for each in made], timeout=lasting_s + patience_s)
    for each in made:
        each.transport.abort()
    lasted_s = time.perf_counter() - started
    taken_s = sorted(taken for each in made for taken in each.taken_s)
    answered = sum(sum(each.statuses) for each in made)
    return Load(
        answered=answered,
        failed=sum(len(each.statuses) for each in made) - answered + len(late),
        lasted_s=lasted_s,
        p50_s=taken_s[len(taken_s) // 2] if taken_s else float("nan"),
    )


async def download(port: int, path: str, *, pause_s: float = 0) -> tuple[int, float]:
    """Read one answer to its end.

    Args:
        port: Of the server on loopback.
        path: What to read.
        pause_s: What a slow client rests after each piece.
    Returns:
        How many bytes came, and in how many seconds.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
    started = time.perf_counter()
    writer.write(f"GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n".encode())
    received = 0
    while data := await reader.read(2**20):
        received += len(data)
        await asyncio.sleep(pause_s)
    lasted_s = time.perf_counter() - started
    writer.close()
    return received, lasted_s
