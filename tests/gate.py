"""A gate before PostgreSQL that asks for passwords as RDS does: over TLS, in the clear, and checked here."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import ipaddress
import secrets
import ssl
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import text

from decant import db
from decant_cloud.local.postgres import Postgres
from tests.servers import close

__all__ = ["Gate", "Open", "answer", "make_certificate", "opened"]

_SSL_REQUEST = 80877103
_ASK_FOR_PASSWORD = b"R" + struct.pack("!ii", 8, 3)
_REFUSAL = b"SFATAL\0C28P01\0Mpassword authentication failed\0\0"


class Gate:
    """Listens on a free port; an async context manager.

    Args:
        server: The real PostgreSQL, to which the gate connects with the superuser's password.
        certificate: PEM file of key and certificate.
        admits: Whether a password opens the gate.

    Attributes:
        passwords: Every password that was tried.
        startups: Parameters that each client sent at the start.
        sent: All that clients sent later.
    """

    def __init__(self, server: Postgres, certificate: Path, admits: Callable[[str], bool]) -> None:
        self.port = 0
        self.passwords: list[str] = []
        self.startups: list[bytes] = []
        self.sent = bytearray()
        self._server = server
        self._admits = admits
        self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._tls.load_cert_chain(certificate)
        self._listener: asyncio.Server | None = None
        self._clients: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._meet, "127.0.0.1", 0)
        self.port = self._listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._listener is not None
        await close(self._listener)
        await asyncio.gather(*self._clients)
        await self._listener.wait_closed()

    def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.append(asyncio.create_task(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await self._let_in(reader, writer)
        writer.close()

    async def _let_in(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, code = struct.unpack("!ii", await reader.readexactly(8))
        assert code == _SSL_REQUEST, "the client did not ask for TLS"
        writer.write(b"S")
        await writer.start_tls(self._tls)
        startup = await _message(reader)
        self.startups.append(startup)
        writer.write(_ASK_FOR_PASSWORD)
        await reader.readexactly(1)
        password = (await _message(reader))[4:-1].decode()
        self.passwords.append(password)
        if not self._admits(password):
            writer.write(b"E" + struct.pack("!i", 4 + len(_REFUSAL)) + _REFUSAL)
            await writer.drain()
            return
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._server.port)
        inner_writer.write(startup)
        await _log_in(inner_reader, inner_writer, self._server.password.encode())
        await asyncio.gather(self._pass_on(reader, inner_writer, self.sent), self._pass_on(inner_reader, writer))

    @staticmethod
    async def _pass_on(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard: bytearray | None = None
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if heard is not None:
                    heard += data
                writer.write(data)
                await writer.drain()
        writer.close()


async def _message(reader: asyncio.StreamReader) -> bytes:
    """One message with its length before it."""
    head = await reader.readexactly(4)
    return head + await reader.readexactly(struct.unpack("!i", head)[0] - 4)


async def _log_in(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, password: bytes) -> None:
    """Authenticate by SCRAM-SHA-256 without channel binding.

    Source: RFC 5802, RFC 7677; PostgreSQL's documentation, SASL authentication.
    """
    _kind, offer = await reader.readexactly(1), await _message(reader)
    assert b"SCRAM-SHA-256" in offer, "the server does not ask for SCRAM"
    first = b"n=,r=" + secrets.token_urlsafe(18).encode()
    initial = b"SCRAM-SHA-256\0" + struct.pack("!i", len(first) + 3) + b"n,," + first
    writer.write(b"p" + struct.pack("!i", 4 + len(initial)) + initial)
    _kind, challenge = await reader.readexactly(1), (await _message(reader))[8:]
    nonce, salt, iterations = (part[2:] for part in challenge.split(b","))
    salted = hashlib.pbkdf2_hmac("sha256", password, base64.b64decode(salt), int(iterations))
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    last = b"c=biws,r=" + nonce
    signature = hmac.digest(hashlib.sha256(client_key).digest(), b",".join([first, challenge, last]), "sha256")
    proof = base64.b64encode(bytes(a ^ b for a, b in zip(client_key, signature, strict=True)))
    response = last + b",p=" + proof
    writer.write(b"p" + struct.pack("!i", 4 + len(response)) + response)
    kind, _final = await reader.readexactly(1), await _message(reader)
    assert kind == b"R", "the server refuses the password"


Open = Callable[[], AbstractAsyncContextManager[Gate]]
"""Opens a gate that a test's settings lead through."""


@asynccontextmanager
async def opened(server: Postgres, certificate: Path, admits: Callable[[str], bool]) -> AsyncIterator[Gate]:
    """A gate that is there until every connection through it is closed; the arguments are the gate's."""
    async with Gate(server, certificate, admits) as gate:
        try:
            yield gate
        finally:
            await db.dispose()


async def answer() -> int:
    """The result of a query, through a session of its own."""
    async with db.session() as session:
        found: int = (await session.execute(text("SELECT 42"))).scalar_one()
    return found


def make_certificate(path: Path) -> Path:
    """Write a key and a self-signed certificate for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "gate")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path
