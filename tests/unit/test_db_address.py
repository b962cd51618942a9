"""Addresses of PostgreSQL as providers print them, and what each driver is given for them."""

from typing import Any

import certifi
import pytest

from decant.config import read
from decant.db import DatabaseSettings
from decant.db.connect import connect_args
from decant.db.settings import Address
from decant.errors import ConfigError

PROVIDERS = {
    "Heroku": "postgres://ada:secret@ec2.compute-1.example:5432/d1",
    "Heroku with TLS": "postgres://ada:secret@ec2.compute-1.example:5432/d1?sslmode=require",
    "RDS": "postgresql://ada:secret@db.rds.example:5432/app?sslmode=verify-full&sslrootcert=/opt/rds.pem",
    "Render": "postgresql://ada:secret@dpg-1.example/app_1",
    "Neon for psycopg": "postgresql+psycopg://ada:secret@ep-1-pooler.example/neondb?sslmode=require&channel_binding=require",
    "Neon without SNI": "postgresql://ada:secret@ep-1.example/neondb?sslmode=require&options=endpoint%3Dep-1",
    "Supabase": "postgresql://postgres.ref:secret@pooler.example:6543/postgres?pgbouncer=true",
    "asyncpg": "postgresql+asyncpg://ada:secret@db.example/app?ssl=require&statement_cache_size=0",
    "libpq": "postgresql://ada:secret@a.example/app?application_name=shop&connect_timeout=3&target_session_attrs=read-write",
}


def arguments(url: str, **settings: str) -> dict[str, Any]:
    """What the URL's driver is given."""
    loaded = read(DatabaseSettings, {"DATABASE_URL": url} | settings)
    assert loaded.address is not None
    return connect_args(loaded.address, loaded, loaded.address.url.get_driver_name())


@pytest.mark.parametrize("url", PROVIDERS.values(), ids=PROVIDERS)
def test_address_of_a_provider_is_read(url: str) -> None:
    """The driver is asyncpg unless the URL names the other; no parameter is left for the driver itself."""
    address = Address.parse(url)

    driver = "psycopg" if "+psycopg" in url else "asyncpg"
    assert (address.url.get_driver_name(), dict(address.url.query)) == (driver, {})
    assert (address.url.username or "")[-3:] in {"ada", "ref"}


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://h/app?keepalives=1", "parameter keepalives is not supported; remove it"),
        ("postgresql://h/app?schema=app", "parameter schema is not supported; use options=-csearch_path%3D… instead"),
        ("postgresql://h/app?connection_limit=1", "DATABASE_POOL_SIZE"),
        ("postgresql://h/app?pool_timeout=5", "DATABASE_CONNECT_TIMEOUT_S"),
        ("postgresql://h/app?statement_timeout=5", "DATABASE_STATEMENT_TIMEOUT_S"),
        ("postgresql+psycopg://h/app?prepare_threshold=0", "DATABASE_POOLER=true"),
        ("postgresql://h/app?statement_cache_size=100", "parameter statement_cache_size must be one of 0"),
        ("postgresql://h/app?sslmode=always", "parameter sslmode must be one of disable, allow"),
        (
            "postgresql://h/app?sslmode=require&sslrootcert=system",
            "sslrootcert=system needs sslmode=verify-full, not require",
        ),
        ("postgresql://h/app?connect_timeout=soon", "parameter connect_timeout must be a whole number"),
        ("postgresql://h/app?target_session_attrs=best", "parameter target_session_attrs must be one of"),
        ("postgresql://h/app?channel_binding=require", "use postgresql+psycopg://"),
        ("postgresql+psycopg2://h/app", "must start with"),
        ("postgresql://ada:hunter/2@h:x/app", "percent-encoded"),
    ],
)
def test_parameter_that_is_not_supported_is_rejected(url: str, message: str) -> None:
    """The error names the setting, the parameter, and what to do."""
    with pytest.raises(ConfigError) as caught:
        read(DatabaseSettings, {"DATABASE_URL": url})

    assert str(caught.value).startswith("DATABASE_URL: ")
    assert message in str(caught.value)


def test_all_parameters_that_are_not_supported_are_reported() -> None:
    """One error lists them, without their values, which may be secrets."""
    with pytest.raises(ConfigError) as caught:
        read(DatabaseSettings, {"DATABASE_URL": "postgresql://h/app?sslpassword=hunter2&keepalives=hunter2"})

    assert all(name in str(caught.value) for name in ("sslpassword", "keepalives"))
    assert "hunter2" not in str(caught.value)


def test_settings_do_not_show_the_password() -> None:
    """Neither the settings nor the address contain it in their text."""
    assert "hunter2" not in repr(read(DatabaseSettings, {"DATABASE_URL": "postgres://ada:hunter2@h/app"}))


def test_parameters_override_the_settings_with_both_drivers() -> None:
    """Name, timeout, options and the kind of server reach both drivers in their own form."""
    parameters = "application_name=shop&connect_timeout=3&target_session_attrs=read-write&options=-csearch_path%3Dapp"

    asyncpg = arguments(f"postgresql+asyncpg://h/app?{parameters}")
    psycopg = arguments(f"postgresql+psycopg://h/app?{parameters}")

    server = {"application_name": "shop", "options": "-csearch_path=app", "statement_timeout": "20000"}
    assert asyncpg.items() >= {"timeout": 3.0, "server_settings": server, "target_session_attrs": "read-write"}.items()
    assert psycopg == {
        "connect_timeout": 3,
        "application_name": "shop",
        "options": "-csearch_path=app -c statement_timeout=20000",
        "target_session_attrs": "read-write",
    }


@pytest.mark.parametrize(
    ("parameters", "verifies", "checks_host"),
    [
        ("sslmode=require", False, False),
        ("ssl=true", False, False),
        (f"sslmode=require&sslrootcert={certifi.where()}", True, False),
        ("sslrootcert=system", True, True),
        ("sslmode=verify-ca", True, False),
        ("sslmode=verify-full", True, True),
        ("sslmode=disable", True, True),
    ],
)
def test_tls_mode_means_the_same_for_asyncpg(parameters: str, *, verifies: bool, checks_host: bool) -> None:
    """The modes verify as libpq documents; DATABASE_TLS requires the strictest mode, also against the URL."""
    settings = {"DATABASE_TLS": "true"} if parameters == "sslmode=disable" else {}

    context = arguments(f"postgresql+asyncpg://h/app?{parameters}", **settings)["ssl"]

    assert (context.verify_mode.name, context.check_hostname) == (
        "CERT_REQUIRED" if verifies else "CERT_NONE",
        checks_host,
    )


@pytest.mark.parametrize(
    ("parameters", "given"),
    [
        ("sslmode=disable", {"sslmode": "disable"}),
        ("ssl=true", {"sslmode": "require"}),
        ("sslmode=verify-full&sslrootcert=/a.pem", {"sslmode": "verify-full", "sslrootcert": "/a.pem"}),
        ("channel_binding=require", {"channel_binding": "require"}),
    ],
)
def test_tls_parameters_reach_psycopg(parameters: str, given: dict[str, str]) -> None:
    """Libpq has the same parameters."""
    assert arguments(f"postgresql+psycopg://h/app?{parameters}").items() >= given.items()


@pytest.mark.parametrize("url", ["postgresql+asyncpg://h/app", "postgresql+psycopg://h/app"])
def test_pooler_receives_no_start_up_parameter_but_the_name(url: str) -> None:
    """PgBouncer rejects a connection with `statement_timeout` or `options`."""
    given = arguments(url, DATABASE_POOLER="true")

    assert given.get("server_settings", {}).keys() <= {"application_name"}
    assert "options" not in given
