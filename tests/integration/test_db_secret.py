"""Logging in with the values of a secret: a real PostgreSQL behind a gate, the secret in moto."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from decant import db, runtime
from decant.errors import AwsUnavailable, ConfigError, DatabaseUnavailable
from decant_cloud.local.postgres import Postgres
from tests.gate import Open, answer, make_certificate, opened

NAME = "decant/database"


@pytest.fixture(scope="module")
def manager() -> Iterator[str]:
    """Address of Secrets Manager."""
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@dataclass
class Safe:
    """A secret, and the password that opens the gate."""

    client: Any
    password: str = "first"

    def keep(self, value: str | dict[str, Any]) -> None:
        """Write the secret."""
        text_ = value if isinstance(value, str) else json.dumps(value)
        self.client.put_secret_value(SecretId=NAME, SecretString=text_)


@pytest.fixture
def safe(manager: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Safe]:
    """A secret that is still empty; the settings name it."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    client = boto3.client("secretsmanager", "eu-west-1", endpoint_url=manager)
    made = client.create_secret(Name=NAME, SecretString="-")
    monkeypatch.setenv("AWS_ENDPOINT_URL", manager)
    monkeypatch.setenv("DATABASE_SECRET_ARN", made["ARN"])
    monkeypatch.delenv("DATABASE_URL", raising=False)
    yield Safe(client)
    client.delete_secret(SecretId=NAME, ForceDeleteWithoutRecovery=True)


@pytest.fixture
def gate(safe: Safe, migrated: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    """Opens a gate that takes the safe's password of the moment."""
    certificate = make_certificate(tmp_path / "gate.pem")
    monkeypatch.setenv("DATABASE_TLS", "true")
    monkeypatch.setenv("DATABASE_CA_FILE", str(certificate))

    return lambda: opened(migrated, certificate, lambda password: password == safe.password)


@pytest.mark.parametrize(
    "kept",
    [
        pytest.param("postgresql+asyncpg://postgres:first@127.0.0.1:{port}/postgres", id="a URL"),
        pytest.param(
            "postgres://postgres:first@127.0.0.1:{port}/postgres?sslmode=require&application_name=shop",
            id="a provider's URL",
        ),
        pytest.param(
            '{{"username": "postgres", "password": "first", "engine": "postgres", '
            '"host": "127.0.0.1", "port": {port}, "dbname": "postgres"}}',
            id="JSON as RDS writes it",
        ),
    ],
)
async def test_secret_holds_the_whole_address(safe: Safe, gate: Open, kept: str) -> None:
    """No setting but the secret's name is needed."""
    async with gate() as gated:
        safe.keep(kept.format(port=gated.port))

        assert await answer() == 42


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_secret_adds_name_and_password_to_the_address(
    safe: Safe, gate: Open, monkeypatch: pytest.MonkeyPatch, driver: str
) -> None:
    """The owner's secret, which RDS keeps, does not contain the host."""
    safe.keep({"username": "postgres", "password": "first"})

    async with gate() as gated:
        monkeypatch.setenv("DATABASE_URL", f"postgresql+{driver}://127.0.0.1:{gated.port}/postgres")
        runtime.current().reload()

        assert await answer() == 42


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ("keepalives=1", "DATABASE_SECRET_ARN: URL in the secret: parameter keepalives is not supported"),
        ("pgbouncer=true", "DATABASE_POOLER: is not true"),
    ],
)
async def test_secret_with_a_parameter_that_is_not_supported_is_a_config_error(
    safe: Safe, gate: Open, parameters: str, message: str
) -> None:
    """The error names the setting, and nothing of the secret's values."""
    async with gate() as gated:
        safe.keep(f"postgres://postgres:first@127.0.0.1:{gated.port}/postgres?{parameters}")

        with pytest.raises(ConfigError, match=message) as caught:
            await answer()

        assert "first" not in str(caught.value)


async def test_secret_is_read_once(safe: Safe, gate: Open) -> None:
    """Later connections use what the first one found."""
    async with gate() as gated:
        safe.keep({"username": "postgres", "password": "first", "host": "127.0.0.1", "port": gated.port})
        await answer()
        await db.dispose()
        safe.keep("unreadable now")

        assert await answer() == 42


async def test_secret_that_was_rotated_is_read_again(safe: Safe, gate: Open) -> None:
    """A new password is found out by the first connection that the old one fails to open."""
    async with gate() as gated:
        address = {"username": "postgres", "host": "127.0.0.1", "port": gated.port}
        safe.keep({**address, "password": "first"})
        await answer()
        await db.dispose()
        safe.password = "second"
        safe.keep({**address, "password": "second"})

        assert await answer() == 42
        assert gated.passwords == ["first", "first", "second"]


async def test_secret_that_is_wrong_is_tried_once(safe: Safe, gate: Open) -> None:
    """A password that was not rotated is not tried again, which could lock the account."""
    async with gate() as gated:
        safe.keep({"username": "postgres", "password": "wrong", "host": "127.0.0.1", "port": gated.port})

        with pytest.raises(DatabaseUnavailable):
            await answer()

        assert gated.passwords == ["wrong"]


async def test_secret_that_is_not_there_is_an_outage(monkeypatch: pytest.MonkeyPatch, safe: Safe) -> None:
    """The caller gets the error of an unavailable database, without the secret's name."""
    monkeypatch.setenv("DATABASE_SECRET_ARN", "missing/secret")

    with pytest.raises(DatabaseUnavailable) as caught:
        await answer()

    assert "missing/secret" not in str(caught.value)
    assert isinstance(caught.value.__cause__, AwsUnavailable)
    assert caught.value.__cause__.code == "ResourceNotFoundException"
    assert safe.password
