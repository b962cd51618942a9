"""The local cloud's PostgreSQL: its password, and data folders of earlier versions."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from decant_cloud.local.errors import LocalCloudError
from decant_cloud.local.postgres import Postgres
from tests.loading import PYTHONPATH

EVERYBODY = "host all all 127.0.0.1/32 trust\n"
"""What initdb wrote into pg_hba.conf of earlier versions."""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder of this test's own, which PostgreSQL's own user gets through when we are root."""
    with tempfile.TemporaryDirectory(prefix="decant-password-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def address(server: Postgres, password: str) -> str:
    """Address, for libpq, of the server with some password."""
    return f"postgresql://postgres:{password}@127.0.0.1:{server.port}/postgres"


@pytest.mark.parametrize("password", ["", "postgres", "wrong"])
def test_postgres_refuses_other_accounts(postgres: Postgres, password: str) -> None:
    """Another account of the machine, which cannot read the password, cannot connect."""
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(address(postgres, password))


def test_postgres_password_is_readable_by_its_owner_alone(postgres: Postgres) -> None:
    """The file has mode 0600, and the server stores a SCRAM verifier."""
    with psycopg.connect(address(postgres, postgres.password)) as connection:
        row = connection.execute("SELECT rolpassword FROM pg_authid WHERE rolname = 'postgres'").fetchone()

    assert stat.S_IMODE(postgres.password_file.stat().st_mode) == 0o600
    assert row is not None
    assert row[0].startswith("SCRAM-SHA-256$")


def test_postgres_folders_have_passwords_of_their_own(folder: Path) -> None:
    """Two clones do not share a password."""
    first, second = Postgres(folder / "a"), Postgres(folder / "b")

    assert len(first.password) >= 32
    assert first.password != second.password


def test_postgres_secures_the_data_of_an_earlier_version(folder: Path) -> None:
    """A data folder that trusts every account keeps its rows and requires the password from the next start on."""
    with Postgres(folder) as server, psycopg.connect(address(server, server.password)) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS number")
    (folder / "data/pg_hba.conf").write_text(EVERYBODY)
    server.password_file.unlink()

    with Postgres(folder) as again:
        with psycopg.connect(address(again, again.password)) as connection:
            kept = connection.execute("SELECT number FROM kept").fetchone()
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(address(again, "wrong"))

    assert kept == (42,)


def test_postgres_replaces_a_lost_password(folder: Path) -> None:
    """When the file was deleted, the next start sets another password."""
    with Postgres(folder) as server:
        lost = server.password
    server.password_file.unlink()

    with Postgres(folder) as again, psycopg.connect(address(again, again.password)):
        assert again.password != lost


def test_postgres_start_that_was_stopped_half_way_is_repeated(folder: Path) -> None:
    """A folder that initdb made and that has no password yet is finished by the next start."""
    with Postgres(folder):
        pass
    (folder / "data/pg_hba.conf").write_text(EVERYBODY.replace("trust", "reject"))
    shutil.copy(folder / "pgpass", folder / "before")

    with Postgres(folder) as again, psycopg.connect(address(again, again.password)):
        assert (folder / "before").read_text() == (folder / "pgpass").read_text()


def kill(server: Postgres) -> None:
    """End the server's main process as the kernel does when memory runs out."""
    os.kill(server.pid, signal.SIGKILL)
    while server.is_running():
        time.sleep(0.01)


def test_postgres_that_was_killed_is_restarted(folder: Path) -> None:
    """Committed rows are there, on the same port and with the same password; a line reports the restart."""
    lines: list[str] = []
    with Postgres(folder) as server:
        with psycopg.connect(address(server, server.password), autocommit=True) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS number")
            kill(server)
        server.keep_running(lines.append)
        with psycopg.connect(address(server, server.password)) as connection:
            kept = connection.execute("SELECT number FROM kept").fetchone()
        server.keep_running(lines.append)

    assert kept == (42,)
    assert [line.partition(" and was")[0] for line in lines] == ["PostgreSQL ended by itself (signal 9)"]


def test_postgres_that_ends_repeatedly_is_not_restarted(folder: Path) -> None:
    """After three restarts within a minute, the error contains the end of the log."""
    with Postgres(folder) as server:
        for _ in range(3):
            kill(server)
            server.keep_running(lambda _line: None)
        kill(server)

        with pytest.raises(LocalCloudError, match=r"ended by itself 4 times within 60 s(.|\n)*postgres\.log"):
            server.keep_running(lambda _line: None)


TEMPORARY = """
import time
from decant_cloud.local.postgres import temporary_postgres

with temporary_postgres() as server:
    print(server.folder, flush=True)
    time.sleep(600)
"""


def is_alive(pid: int) -> bool:
    """Whether there is a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_temporary_postgres_ends_with_the_process_that_started_it() -> None:
    """The server is stopped and its data is deleted, also when that process is killed."""
    with subprocess.Popen(
        [sys.executable, "-c", TEMPORARY],
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        stdout=subprocess.PIPE,
        text=True,
    ) as owner:
        assert owner.stdout is not None
        folder = Path(owner.stdout.readline().strip())
        pid = int((folder / "data/postmaster.pid").read_text().split("\n")[0])
        owner.kill()

    while folder.exists() or is_alive(pid):
        time.sleep(0.05)
