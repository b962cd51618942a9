"""Logging in with tokens of IAM: a real PostgreSQL behind a gate that checks them as RDS does."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import text

from decant import db
from decant._aws.sigv4 import Credentials, CredentialScope, presign_url
from decant.errors import DatabaseUnavailable
from decant_cloud.local.postgres import Postgres
from tests.gate import Gate, Open, answer, make_certificate, opened
from tests.loading import run_python

KEYS = Credentials(access_key="AKIAEXAMPLE", secret_key="secret", token="session")
REGION = "eu-west-1"


def admits(password: str) -> bool:
    """Whether RDS would take this token now: signed by an allowed key, for this user, and not too old."""
    address = urlsplit(f"//{password}")
    asked = {name: values[0] for name, values in parse_qs(address.query).items()}
    at = datetime.strptime(asked["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    lives_s = int(asked["X-Amz-Expires"])
    wanted = {"Action": "connect", "DBUser": "postgres"}
    expected = presign_url(
        address.netloc, wanted, lives_s, KEYS, CredentialScope(service="rds-db", region=REGION, at=at)
    )
    fresh = timedelta() <= datetime.now(UTC) - at < timedelta(seconds=min(lives_s, 900))
    return fresh and password == expected


@pytest.fixture(params=["asyncpg", "psycopg"])
def gate(request: pytest.FixtureRequest, migrated: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    """Opens a gate, with the settings that lead each driver through it."""
    certificate = make_certificate(tmp_path / "gate.pem")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEYS.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEYS.secret_key)
    monkeypatch.setenv("AWS_SESSION_TOKEN", KEYS.token)
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.setenv("DATABASE_IAM_AUTH", "true")
    monkeypatch.setenv("DATABASE_CA_FILE", str(certificate))

    @asynccontextmanager
    async def with_address() -> AsyncIterator[Gate]:
        async with opened(migrated, certificate, admits) as made:
            url = f"postgresql+{request.param}://postgres@127.0.0.1:{made.port}/postgres"
            monkeypatch.setenv("DATABASE_URL", url)
            yield made

    return with_address


async def test_token_opens_the_database(gate: Open) -> None:
    """A token signed with the process's credentials is taken in place of a password."""
    async with gate() as gated:
        assert await answer() == 42

        assert len(gated.passwords) == 1


async def test_token_is_signed_anew_for_each_connection(gate: Open) -> None:
    """A pool that opens a connection later on does not come with the first one's token."""
    async with gate() as gated:
        await answer()
        await db.dispose()
        await asyncio.sleep(1.1)  # tokens count whole seconds
        await answer()

        first, second = gated.passwords
        assert first != second


async def test_connection_serves_on_without_another_token(gate: Open) -> None:
    """A connection that is open needs no token again."""
    async with gate() as gated:
        for _ in range(3):
            await answer()

        assert len(gated.passwords) == 1


async def test_token_of_somebody_else_is_refused(gate: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gate of these tests rejects connections, and the caller gets the error of a missing database."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")

    async with gate():
        with pytest.raises(DatabaseUnavailable):
            await answer()


async def test_token_is_not_shown_to_a_stranger(gate: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server with an untrusted certificate gets no token."""
    monkeypatch.delenv("DATABASE_CA_FILE")

    async with gate() as gated:
        with pytest.raises(DatabaseUnavailable):
            await answer()

        assert gated.passwords == []


@pytest.mark.usefixtures("database_url")
def test_login_costs_nothing_where_it_is_off() -> None:
    """A function whose address holds all there is imports neither signatures nor secrets."""
    out = run_python(
        "import json, sys\n"
        "from decant import db\n"
        "db.engine()\n"
        "print(json.dumps([n for n in sys.modules if n in ('decant._aws.sigv4', 'decant.secrets', 'botocore')]))"
    )

    assert json.loads(out) == []


@pytest.mark.parametrize("behind_a_proxy", [True, False])
async def test_proxy_is_not_asked_for_what_it_refuses(
    gate: Open, monkeypatch: pytest.MonkeyPatch, *, behind_a_proxy: bool
) -> None:
    """RDS Proxy takes no statement timeout; PostgreSQL itself does."""
    monkeypatch.setenv("DATABASE_PROXY", str(behind_a_proxy).lower())

    async with gate() as gated:
        await answer()

        assert (b"statement_timeout" in gated.startups[0]) is not behind_a_proxy


@pytest.mark.parametrize("behind_a_proxy", [True, False])
async def test_proxy_is_not_pinned_by_the_driver(
    gate: Open, monkeypatch: pytest.MonkeyPatch, *, behind_a_proxy: bool
) -> None:
    """Before it looks up a type, asyncpg would turn JIT off for the session: a proxy then shares it no more."""
    monkeypatch.setenv("DATABASE_PROXY", str(behind_a_proxy).lower())

    async with gate() as gated:
        async with db.session() as session:
            await session.execute(text("SELECT CAST(:names AS text[])"), {"names": ["a"]})
            await session.execute(text("SELECT '[1,2)'::int4range"))

        driver = db.engine().driver
        assert (b"set_config" in gated.sent) is (driver == "asyncpg" and not behind_a_proxy)
