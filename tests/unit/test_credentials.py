"""Where AWS credentials come from."""

import json
from pathlib import Path

import pytest

from decant import loop
from decant._aws.sigv4 import credentials
from decant.errors import CredentialsUnavailable
from tests.loading import run_python

VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE")


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No credentials anywhere; a file where there may be some."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    shared = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(shared))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return shared


async def test_credentials_are_those_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lambda sets them."""
    for name in VARIABLES[:3]:
        monkeypatch.setenv(name, name.lower())

    found = await credentials()

    assert (found.access_key, found.secret_key, found.token) == (
        "aws_access_key_id",
        "aws_secret_access_key",
        "aws_session_token",
    )


def test_credentials_of_the_environment_need_no_botocore(monkeypatch: pytest.MonkeyPatch) -> None:
    """No cold start of a function pays for botocore's import."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")

    out = run_python(
        "import json, sys\n"
        "from decant import loop\n"
        "from decant._aws.sigv4 import credentials\n"
        "loop.run(credentials())\n"
        "print(json.dumps([name for name in sys.modules if name.startswith('boto')]))"
    )

    assert json.loads(out) == []


def test_credentials_are_looked_for_where_botocore_looks(nowhere: Path) -> None:
    """A profile serves where the environment holds none."""
    nowhere.write_text("[default]\naws_access_key_id = a\naws_secret_access_key = b\n")

    found = loop.run(credentials())

    assert (found.access_key, found.secret_key, found.token) == ("a", "b", "")


async def test_credentials_that_are_nowhere_are_an_error() -> None:
    """The error is a sentence."""
    with pytest.raises(CredentialsUnavailable) as caught:
        await credentials()

    assert "no AWS credentials" in caught.value.reason


async def test_credentials_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is printed or logged holds no key."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden")

    assert "hidden" not in repr(await credentials())
