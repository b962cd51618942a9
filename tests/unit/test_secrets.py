"""Secrets without AWS."""

import pytest

from decant.errors import AwsUnavailable
from decant.secrets import provide, secret


async def test_provided_secret_is_not_read_from_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process without AWS has the secrets that it was given, also when they are read again, and no others."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    provide({"myshop/mail-token": "local"})

    texts = [await secret("myshop/mail-token"), await secret("myshop/mail-token", fresh=True)]

    assert texts == ["local", "local"]
    with pytest.raises(AwsUnavailable):
        await secret("myshop/other")
