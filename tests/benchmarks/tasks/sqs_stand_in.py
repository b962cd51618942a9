"""A queue that takes every message and keeps none: what is measured is the client, not moto."""

import asyncio
import json
import multiprocessing
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

from decant_cloud.local.postgres import free_port

__all__ = ["sqs_stand_in"]


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = next(
                int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
            )
            entries = json.loads(await reader.readexactly(length))["Entries"]
            body = json.dumps({"Successful": [{"Id": entry["Id"]} for entry in entries], "Failed": []}).encode()
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: %d\r\n\r\n" % len(
                body
            )
            writer.write(head + body)
    except asyncio.IncompleteReadError:
        writer.close()


def _serve(port: int) -> None:
    async def serve() -> None:
        server = await asyncio.start_server(_answer, "127.0.0.1", port)
        await server.serve_forever()

    asyncio.run(serve())


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def sqs_stand_in() -> Iterator[str]:
    """Its address."""
    port = free_port()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(port,), daemon=True)
    process.start()
    while not _answers(port):
        time.sleep(0.05)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.join()
