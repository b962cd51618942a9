"""The HTTP client of AWS's APIs: connections, errors and time limits."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from decant._aws.request import Response, request
from decant.errors import AwsUnavailable
from tests.servers import close

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


class Server:
    """Answers with given bytes, and notes what it saw.

    Attributes:
        connections: How many were opened.
        requests: Each request's head.
    """

    def __init__(self, *answers: bytes, hangs_up: bool = False) -> None:
        self._answers = list(answers)
        self._hangs_up = hangs_up
        self.connections = 0
        self.requests: list[str] = []
        self.url = ""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                await reader.readexactly(int(head.lower().split("content-length: ")[1].split("\r\n")[0]))
                self.requests.append(head)
                writer.write(self._answers.pop(0))
                if self._hangs_up:
                    break
        except (asyncio.IncompleteReadError, IndexError):
            pass
        writer.close()


@asynccontextmanager
async def serving(server: Server, secure: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """Serve on loopback inside the block."""
    listener = await asyncio.start_server(server.handle, "127.0.0.1", 0, ssl=secure)
    server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/path"
    try:
        yield server
    finally:
        await close(listener)


async def test_request_is_sent_whole_and_answered() -> None:
    """Path, headers and length are as they should be."""
    async with serving(Server(OK)) as server:
        response = await request("POST", server.url, {"X-Name": "value"}, b"body", 5)

    assert response == Response(200, b"hi")
    assert server.requests[0].startswith("POST /path HTTP/1.1\r\nHost: 127.0.0.1:")
    assert "\r\nX-Name: value\r\n" in server.requests[0]
    assert "\r\nContent-Length: 4\r\n" in server.requests[0]


async def test_connection_is_used_again() -> None:
    """The second request opens none."""
    async with serving(Server(OK, OK)) as server:
        for _ in range(2):
            await request("POST", server.url, {}, b"", 5)

    assert server.connections == 1


async def test_connection_that_died_is_replaced() -> None:
    """The caller gets no error."""
    async with serving(Server(OK, OK, hangs_up=True)) as server:
        await request("POST", server.url, {}, b"", 5)
        response = await request("POST", server.url, {}, b"", 5)

    assert (response.status, server.connections) == (200, 2)


async def test_connection_that_is_to_be_closed_is_not_kept() -> None:
    """As in the response."""
    closing = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    async with serving(Server(closing, OK)) as server:
        for _ in range(2):
            await request("POST", server.url, {}, b"", 5)

    assert server.connections == 2


async def test_body_may_end_with_the_connection() -> None:
    """A response need not declare its length."""
    async with serving(Server(b"HTTP/1.1 200 OK\r\n\r\nhi", hangs_up=True)) as server:
        response = await request("POST", server.url, {}, b"", 2)

    assert response == Response(200, b"hi")


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", id="encoded"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 100_000 + b"\r\n\r\n", id="headers too long"),
        pytest.param(b"220 mail ready\r\n\r\n", id="no HTTP"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhi", id="cut short"),
        pytest.param(b"", id="nothing"),
    ],
)
async def test_answer_that_is_not_whole_is_an_error(answer: bytes) -> None:
    """It is never taken for one that is."""
    async with serving(Server(answer, hangs_up=True)) as server:
        with pytest.raises(AwsUnavailable):
            await request("POST", server.url, {}, b"", 2)


async def test_service_that_is_too_slow_is_an_error() -> None:
    """The caller waits no longer than its timeout."""
    async with serving(Server(b"HTTP/1.1 200 OK\r\n")) as server:
        with pytest.raises(AwsUnavailable) as caught:
            await request("POST", server.url, {}, b"", 0.05)

    assert "TimeoutError" in caught.value.reason


async def test_service_that_is_not_there_is_an_error() -> None:
    """With the reason in words."""
    with pytest.raises(AwsUnavailable) as caught:
        await request("POST", "http://127.0.0.1:9/", {}, b"", 2)

    assert "127.0.0.1:9" in caught.value.reason


async def test_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    """A server with an untrusted certificate gets no request."""
    async with serving(Server(OK), self_signed(tmp_path)) as server:
        with pytest.raises(AwsUnavailable) as caught:
            await request("POST", server.url.replace("http:", "https:"), {}, b"", 5)

    assert "CERTIFICATE_VERIFY_FAILED" in caught.value.reason
    assert server.requests == []


def self_signed(folder: Path) -> ssl.SSLContext:
    """What a server needs to speak TLS as 127.0.0.1 on its own word."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "server.pem").write_bytes(private + certificate.public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return context
