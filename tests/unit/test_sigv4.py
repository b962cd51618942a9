"""Signatures, compared with those of botocore."""

from datetime import UTC, datetime

import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from hypothesis import given
from hypothesis import strategies as st

from decant._aws.sigv4 import Credentials, CredentialScope, presign_url, sign_headers

NAMES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x2FF), min_size=1, max_size=40)
KEYS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=40)
MOMENTS = st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2099, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # hypothesis adds the zone


def credentials_of(key: str, token: str) -> tuple[Credentials, BotocoreCredentials]:
    """The same credentials for both."""
    return Credentials(access_key="AKIA", secret_key=key, token=token), BotocoreCredentials("AKIA", key, token or None)


@given(user=NAMES, key=KEYS, token=st.just("") | KEYS, moment=MOMENTS)
def test_presigned_is_what_botocore_makes(user: str, key: str, token: str, moment: datetime) -> None:
    """A token for any user, with any key, is the one that RDS expects."""
    own, botocores = credentials_of(key, token)
    request = AWSRequest("GET", "https://db.example:5432/", params={"Action": "connect", "DBUser": user})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("botocore.auth.get_current_datetime", lambda: moment)
        SigV4QueryAuth(botocores, "rds-db", "eu-west-1", expires=900).add_auth(request)

    scope = CredentialScope(service="rds-db", region="eu-west-1", at=moment)
    made = presign_url("db.example:5432", {"Action": "connect", "DBUser": user}, 900, own, scope)

    assert parts(made) == parts(request.url.removeprefix("https://"))


@given(body=st.binary(max_size=100), key=KEYS, token=st.just("") | KEYS, moment=MOMENTS)
def test_signed_is_what_botocore_makes(body: bytes, key: str, token: str, moment: datetime) -> None:
    """The signature over headers and body is the one that AWS expects."""
    own, botocores = credentials_of(key, token)
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "secretsmanager.GetSecretValue"}
    url = "https://secretsmanager.eu-west-1.amazonaws.com/"
    request = AWSRequest("POST", url, data=body, headers=headers)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("botocore.auth.get_current_datetime", lambda: moment)
        SigV4Auth(botocores, "secretsmanager", "eu-west-1").add_auth(request)

    made = sign_headers(
        url, headers, body, own, CredentialScope(service="secretsmanager", region="eu-west-1", at=moment)
    )

    assert made == dict(request.headers)


def parts(address: str) -> tuple[str, list[str]]:
    """An address with the pairs of its query in any order."""
    host, _, query = address.partition("?")
    return host, sorted(query.split("&"))
