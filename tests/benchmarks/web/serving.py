"""Servers in processes of their own: `python -m tests.benchmarks.web.serving <server> <peer> <port>`."""

import asyncio
import logging
import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import psutil

from tests.benchmarks.web.peers import SERVED, WSGI

__all__ = ["SERVERS", "Served", "start"]

SERVERS = ("Hypercorn", "uvicorn")
BACKLOG = 4096


ROOT = Path(__file__).resolve().parents[3]  # not that of `tests.loading`, which imports more than the servers do


@dataclass(frozen=True)
class Served:
    """One peer behind one server, in a process that runs."""

    server: str
    peer: str
    port: int
    process: subprocess.Popen[bytes]

    def memory_bytes(self) -> int:
        """Resident memory of the process."""
        held: int = psutil.Process(self.process.pid).memory_info().rss
        return held

    def stop(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()


def start(server: str, peer: str, tree: Path = ROOT) -> Served:
    """Start a server with the library of a working tree, and wait until it accepts connections."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{tree / 'shared'}",
        "LOG_LEVEL": "WARNING",
        "STAGE": "prod",
    }
    command = [sys.executable, "-m", "tests.benchmarks.web.serving", server, peer, str(port)]
    served = Served(
        server,
        peer if tree == ROOT else "base",
        port,
        subprocess.Popen(command, env=environment, cwd=ROOT, stderr=subprocess.DEVNULL),
    )
    for _ in range(500):
        time.sleep(0.02)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return served
    served.stop()
    raise RuntimeError(f"{peer} under {server} did not start")


def main(server: str, peer: str, port: int) -> None:
    """Serve until the process is killed; in a child process."""
    app = SERVED[peer]()
    logging.disable(logging.WARNING)  # of apps without lifespan
    if server == "uvicorn":
        config = {"interface": "wsgi"} if peer in WSGI else {}
        import_module("uvicorn").run(app, port=port, log_level="warning", access_log=False, backlog=BACKLOG, **config)
        return
    config = import_module("hypercorn.config").Config()
    config.bind, config.backlog, config.errorlog = [f"127.0.0.1:{port}"], BACKLOG, None
    asyncio.run(import_module("hypercorn.asyncio").serve(app, config))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
