"""Parameters of the address, as a real server sees them, with both drivers."""

from pathlib import Path

import pytest
from sqlalchemy import text

from decant import db
from decant.errors import DatabaseUnavailable
from decant_cloud.local.postgres import Postgres
from tests.gate import answer, make_certificate, opened

DRIVERS = ["asyncpg", "psycopg"]


@pytest.mark.parametrize("driver", DRIVERS)
async def test_parameters_reach_the_server(
    driver: str, database_url: str, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Options and name are those of the session; a server that accepts writes is selected."""
    parameters = "options=-csearch_path%3Ddecant&application_name=shop&target_session_attrs=read-write&sslmode=prefer"
    hosts = f"host=127.0.0.1:{postgres.port}"
    address = database_url.replace("asyncpg", driver).replace(f"127.0.0.1:{postgres.port}", "")
    monkeypatch.setenv("DATABASE_URL", f"{address}?{hosts}&{parameters}")
    names = ("search_path", "application_name", "statement_timeout")

    rows = await db.execute(text(f"SELECT {', '.join(f'current_setting({name!r}) AS {name}' for name in names)}"), {})

    assert dict(rows[0]) == {"search_path": "decant", "application_name": "shop", "statement_timeout": "20s"}


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize(
    "parameters",
    [
        "sslmode=require",
        "ssl=true",
        "sslmode=verify-ca&sslrootcert={certificate}",
        "sslmode=verify-full&sslrootcert={certificate}",
    ],
)
async def test_tls_mode_accepts_a_certificate(
    driver: str, parameters: str, migrated: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`require` only encrypts; the stricter modes accept a certificate of the given authorities."""
    certificate = make_certificate(tmp_path / "gate.pem")

    async with opened(migrated, certificate, lambda _password: True) as gate:
        address = f"postgresql+{driver}://postgres:first@127.0.0.1:{gate.port}/postgres"
        monkeypatch.setenv("DATABASE_URL", f"{address}?{parameters.format(certificate=certificate)}")

        assert await answer() == 42


@pytest.mark.parametrize("driver", DRIVERS)
async def test_tls_mode_rejects_an_unknown_certificate(
    driver: str, migrated: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`verify-full` without a file requires a certificate of a public authority, and sends no password before."""
    certificate = make_certificate(tmp_path / "gate.pem")

    async with opened(migrated, certificate, lambda _password: True) as gate:
        address = f"postgresql+{driver}://postgres:first@127.0.0.1:{gate.port}/postgres"
        monkeypatch.setenv("DATABASE_URL", f"{address}?sslmode=verify-full")

        with pytest.raises(DatabaseUnavailable):
            await answer()

        assert gate.passwords == []
