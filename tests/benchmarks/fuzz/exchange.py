"""Send bytes over a connection of their own and read the responses, within a time limit."""

import io
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from enum import Enum, auto
from http.client import HTTPException, HTTPResponse
from typing import Any, cast

__all__ = ["Ending", "Response", "Result", "exchange"]

_PAUSE_S = 0.005
"""Between the pieces of a request, so that the server reads them one by one."""


class Ending(Enum):
    """What the client does when all is sent."""

    WAIT = auto()
    HALF_CLOSE = auto()
    """It sends no more and reads responses."""
    CLOSE = auto()
    """It disconnects."""


@dataclass(frozen=True, kw_only=True)
class Response:
    """A response that was received whole; the names of its headers are in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Result:
    """The result of an exchange.

    Attributes:
        responses: As many as were expected, or fewer when the server has closed the connection.
        is_hanging: The time limit has passed before.
    """

    responses: Sequence[Response]
    is_hanging: bool
    duration_s: float


def exchange(
    address: tuple[str, int], pieces: Sequence[bytes], ending: Ending, methods: Sequence[str], limit_s: float
) -> Result:
    """Send a request, or what looks like requests.

    Args:
        address: Of the server.
        pieces: Parts of the request, sent with pauses between them.
        ending: What the client does afterwards.
        methods: Methods of the requests, a response for each of which is expected.
        limit_s: Time limit.
    """
    started = time.monotonic()
    responses: list[Response] = []
    is_hanging = False
    try:
        with (
            socket.create_connection(address, timeout=limit_s) as connection,
            connection.makefile("rb", buffering=0) as received,
        ):
            _send(connection, pieces, ending)
            stream = _Stream(received)
            for method in methods if ending is not Ending.CLOSE else ():
                connection.settimeout(max(0.001, started + limit_s - time.monotonic()))
                responses.append(_read(stream, method))
    except TimeoutError:
        is_hanging = True
    except (OSError, HTTPException):  # the server has closed the connection
        pass
    return Result(responses=responses, is_hanging=is_hanging, duration_s=time.monotonic() - started)


def _send(connection: socket.socket, pieces: Sequence[bytes], ending: Ending) -> None:
    try:
        for number, piece in enumerate(pieces):
            if number:
                time.sleep(_PAUSE_S)
            connection.sendall(piece)
        if ending is Ending.HALF_CLOSE:
            connection.shutdown(socket.SHUT_WR)
    except TimeoutError:
        raise
    except OSError:  # the server has responded before it has read everything
        return


class _Stream(io.BufferedReader):
    """What a connection receives; http.client closes it after every response, and it stays open."""

    def makefile(self, *_arguments: Any) -> "_Stream":
        """Itself, in the place of a socket."""
        return self

    def close(self) -> None:
        """Stay open."""


def _read(stream: _Stream, method: str) -> Response:
    with closing(HTTPResponse(cast("socket.socket", stream), method=method)) as response:
        response.begin()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Response(status=response.status, headers=headers, body=response.read())
