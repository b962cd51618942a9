"""Signed forms for uploads, compared with those of botocore."""

import json
from base64 import b64decode
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import botocore.session
import pytest
from botocore.auth import S3SigV4PostAuth
from botocore.config import Config
from botocore.credentials import Credentials

from decant import loop
from decant.runtime import Runtime
from decant.uploads import PresignedPost, presigned_post

KEYS = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret/+=", "AWS_REGION": "eu-west-1"}


def form_of_botocore(moment: datetime, token: str | None, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The form of `generate_presigned_post` at a moment."""
    for module in ("auth", "signers"):
        monkeypatch.setattr(f"botocore.{module}.get_current_datetime", lambda **_: moment)
    client = botocore.session.get_session().create_client(
        "s3",
        region_name=KEYS["AWS_REGION"],
        aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=token,
        config=Config(signature_version="s3v4"),
    )
    own = {"Content-Type": "text/csv"}
    made: dict[str, Any] = client.generate_presigned_post(
        "uploads", "imports/ä 1.csv", own, [own, ["content-length-range", 1, 100]], ExpiresIn=60
    )
    return made


def policy_of(fields: dict[str, str]) -> tuple[str, set[str]]:
    """Expiration and conditions of the policy."""
    policy = json.loads(b64decode(fields["policy"]))
    return policy["expiration"], {json.dumps(condition) for condition in policy["conditions"]}


@pytest.mark.parametrize("token", [None, "session+token"])
def test_form_is_that_of_botocore(token: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Address, fields and policy are equal, and botocore signs the policy alike."""
    environment = KEYS | {"UPLOADS_BUCKET": "uploads"} | ({"AWS_SESSION_TOKEN": token} if token else {})
    with Runtime(environment).active() as own:
        made: PresignedPost = loop.run(
            presigned_post("imports/ä 1.csv", content_type="text/csv", max_bytes=100, expires_s=60)
        )
        own.shut_down()

    moment = datetime.strptime(made.fields["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    expected = form_of_botocore(moment, token, monkeypatch)

    order = {"policy", "x-amz-signature"}  # they depend on the order of the conditions
    assert {name: made.fields[name] for name in made.fields.keys() - order} == {
        name: expected["fields"][name] for name in expected["fields"].keys() - order
    }
    assert policy_of(made.fields) == policy_of(expected["fields"])
    keys = Credentials(KEYS["AWS_ACCESS_KEY_ID"], KEYS["AWS_SECRET_ACCESS_KEY"], token)
    request = SimpleNamespace(context={"timestamp": made.fields["x-amz-date"]})
    signature = S3SigV4PostAuth(keys, "s3", KEYS["AWS_REGION"]).signature(made.fields["policy"], request)
    assert made.fields["x-amz-signature"] == signature
    assert made.url in {expected["url"], "https://uploads.s3.eu-west-1.amazonaws.com/"}
