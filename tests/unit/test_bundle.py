"""The bundle's configuration in pyproject.toml and .env."""

from pathlib import Path

import pytest

from decant_cloud.bundle import bundle
from decant_cloud.checks.layout import misnamed
from decant_cloud.errors import CommandError
from decant_cloud.local.tokens import required_scopes

PARAMETERS = ("MailUrl", "CallerRate", "LogLevel", "Stage", "DatabaseUrl", "SubnetIds")
DECLARED: dict[str, dict[str, str]] = {name: {} for name in PARAMETERS}


def configured(folder: Path, table: str, environment: str = "") -> Path:
    """A bundle with this table and this file `.env`."""
    (folder / "pyproject.toml").write_text(f"[tool.decant]\nname = 'shop'\n{table}")
    (folder / ".env").write_text(environment)
    return folder


def test_environment_sets_the_parameters_that_the_bundle_lists(tmp_path: Path) -> None:
    """A variable that neither pyproject.toml nor .env names sets nothing."""
    found = bundle(configured(tmp_path, "[tool.decant.parameters]\nCallerRate = 'CALLS'\n"))

    environ = {"CALLS": "5", "LOG_LEVEL": "DEBUG", "CALLER_RATE": "9"}

    assert found.parameters(DECLARED, environ) == {"CallerRate": "5"}


def test_file_sets_the_parameters_of_its_variables(tmp_path: Path) -> None:
    """MAIL_URL is the variable of MailUrl; the environment overrides the file."""
    found = bundle(configured(tmp_path, "", "MAIL_URL=http://mail\nLOG_LEVEL='INFO'  # quoted\nOTHER=1\n"))

    assert found.parameters(DECLARED, {"LOG_LEVEL": "DEBUG"}) == {"MailUrl": "http://mail", "LogLevel": "DEBUG"}


def test_parameters_of_database_network_and_stage_are_never_read(tmp_path: Path) -> None:
    """The variables of another project choose neither database nor network."""
    environment = "DATABASE_URL=postgresql://other\nSTAGE=prod\nSUBNET_IDS=a,b\n"

    assert bundle(configured(tmp_path, "", environment)).parameters(DECLARED, {"DATABASE_URL": "x"}) == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("[tool.decant]\n", "needs a name", id="no name"),
        pytest.param("[tool.decant]\nname = 'My Shop'\n", "needs a name", id="no such name"),
        pytest.param("[tool", "cannot be read", id="no TOML"),
        pytest.param(
            "[tool.decant]\nname = 'shop'\n[tool.decant.parameters]\nDatabaseUrl = 'DATABASE_URL'\n",
            "the environment must not set DatabaseUrl",
            id="the database",
        ),
    ],
)
def test_invalid_configuration_is_reported(tmp_path: Path, text: str, expected: str) -> None:
    """The line names the file and what to write."""
    (tmp_path / "pyproject.toml").write_text(text)

    with pytest.raises(CommandError, match=expected):
        bundle(tmp_path)


def test_secrets_are_texts_and_tables_are_json(tmp_path: Path) -> None:
    """As Secrets Manager stores them."""
    found = bundle(configured(tmp_path, "[tool.decant.secrets]\n'shop/a' = 'b'\n'shop/c' = {user = 'd'}\n"))

    assert found.secrets == {"shop/a": "b", "shop/c": '{"user": "d"}'}


def test_names_that_differ_from_the_bundles_are_reported(tmp_path: Path) -> None:
    """Two products in one account would otherwise be one stack."""
    configured(tmp_path, "")
    (tmp_path / "samconfig.toml").write_text("version = 0.1\n[prod.global.parameters]\nstack_name = 'decant-prod'\n")
    parameters = "Parameters: {Name: {Type: String, Default: decant}}\n"
    (tmp_path / "template.yaml").write_text(f"Resources: {{}}\n{parameters}")

    assert list(misnamed(tmp_path)) == [
        "samconfig.toml's stack_name of prod must be shop-prod, for the name in pyproject.toml",
        "template.yaml's parameter Name must have the Default shop, the name in pyproject.toml",
    ]


def test_scopes_are_those_that_the_code_names(tmp_path: Path) -> None:
    """Texts of code that uses `decant.auth`; docstrings and other files do not count."""
    for name, text in {
        "a": 'from decant import auth\n"""Not this: b:c"""\nauth.require("bookings:read")\n"x:y" in auth.scopes()\n',
        "b": 'key = "other:thing"\n',
    }.items():
        (tmp_path / f"functions/{name}").mkdir(parents=True)
        (tmp_path / f"functions/{name}/app.py").write_text(text)

    assert required_scopes(tmp_path) == ["bookings:read", "x:y"]
