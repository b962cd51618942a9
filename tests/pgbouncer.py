"""PgBouncer in front of a test's PostgreSQL: a pooler in transaction mode, on loopback."""

import os
import shutil
import signal
import socket
from pathlib import Path

from decant_cloud.local.database_address import write_private
from decant_cloud.local.postgres import Postgres, free_port
from decant_cloud.local.server import Launch, Server, Spec

__all__ = ["Pgbouncer"]

_USER_WHEN_ROOT = "nobody"
"""System user that the server runs as when the tests run as root, which PgBouncer refuses."""


class Pgbouncer(Server):
    """The pooler; a context manager.

    Args:
        folder: Its files; the user that it runs as must be able to enter it.
        postgres: The server behind it.
        connections: Number of connections to the server that its clients share.
    """

    def __init__(self, folder: Path, postgres: Postgres, connections: int) -> None:
        # SIGTERM closes every connection at once.
        spec = Spec(
            name="PgBouncer", prepare=self._prepare, is_ready=self._is_ready, stop_with=signal.SIGTERM, grace_s=5
        )
        super().__init__(spec, free_port(), folder / "pgbouncer.log")
        self._folder = folder
        self._postgres = postgres
        self._connections = connections

    def _prepare(self) -> Launch:
        user = _USER_WHEN_ROOT if os.geteuid() == 0 else None
        users, configuration = self._folder / "users.txt", self._folder / "pgbouncer.ini"
        write_private(users, f'"postgres" "{self._postgres.password}"\n')
        configuration.write_text(
            f"""
[databases]
* = host=127.0.0.1 port={self._postgres.port} user=postgres

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {self.port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
pool_mode = transaction
default_pool_size = {self._connections}
max_client_conn = 500
"""
        )
        if user is not None:
            shutil.chown(users, user)
        program = shutil.which("pgbouncer")
        assert program is not None
        return Launch(command=[program, str(configuration)], user=user)

    def _is_ready(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0
