"""Uploads above the API's limit: clients send files to S3 with a form that a function signs, and tasks read them.

    form = await presigned_post(f"imports/{uuid4()}.csv", content_type="text/csv", max_bytes=50_000_000)
    for upload in received(event):                # in the function that the bucket invokes
        await import_rows.apply_async([upload.key], idempotency_key=upload.id)
    async for offset, line in lines(key, start):  # in the task

Source: S3 API Reference, "POST Object", "Event message structure"; RFC 9110, section 14.2 (Range).
"""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote_plus

import msgspec

from decant._aws import AwsSettings
from decant._aws.sigv4 import CredentialScope, credentials, presign_url, sign_policy
from decant.config import load, setting, settings_group, text
from decant.errors import ServiceUnavailable, UpstreamError

__all__ = ["PresignedPost", "Upload", "UploadSettings", "lines", "presigned_post", "received"]

_READ_S = 900
"""Validity of the URL with which a file is read: the longest invocation."""


@settings_group
class UploadSettings:
    """Settings of uploads."""

    bucket: str | None = setting("UPLOADS_BUCKET", text, "S3 bucket that clients upload files to", default=None)


class PresignedPost(msgspec.Struct, frozen=True):
    """A form for one upload.

    Attributes:
        url: Where to POST the form, as `multipart/form-data`.
        fields: Fields of the form, before the field `file` with the content.
    """

    url: str
    fields: dict[str, str]


class Upload(msgspec.Struct, frozen=True):
    """A file that a client has uploaded.

    Attributes:
        id: Id of the upload, for `idempotency_key`: S3 may report an upload several times.
        size_bytes: Size of the file.
    """

    id: str
    key: str
    size_bytes: int


async def presigned_post(key: str, *, content_type: str, max_bytes: int, expires_s: int = 900) -> PresignedPost:
    """Sign a form with which a client uploads a file; S3 checks key, type and size.

    Args:
        key: Name of the file in the bucket.
        content_type: Type that the client must declare.
        max_bytes: Maximum size of the file, 5 GB at most.
        expires_s: Seconds for which the form is accepted, 12 hours at most in a function.
    Raises:
        CredentialsUnavailable: there are no credentials of AWS.
        ServiceUnavailable: UPLOADS_BUCKET is not set.
    """
    now = datetime.now(UTC)
    bucket = _bucket()
    own = {"key": key, "Content-Type": content_type}
    conditions: list[object] = [
        {"bucket": bucket},
        *({name: value} for name, value in own.items()),
        ["content-length-range", 1, max_bytes],
    ]
    signed = sign_policy(conditions, now + timedelta(seconds=expires_s), await credentials(), _scope(now))
    scheme, host, path = _address(bucket)
    return PresignedPost(f"{scheme}://{host}{path}", own | signed)


def received(event: dict[str, Any]) -> Iterator[Upload]:
    """The uploads of an S3 event.

    Args:
        event: The function's input.
    """
    for record in event.get("Records", ()):
        file = record["s3"]["object"]
        key = unquote_plus(file["key"])
        yield Upload(f"{key} {file.get('sequencer') or file.get('eTag', '')}", key, int(file.get("size", 0)))


async def lines(key: str, start: int = 0) -> AsyncIterator[tuple[int, bytes]]:
    """Read a file line by line, while it is received.

    Args:
        key: Name of the file in the bucket.
        start: Byte to begin with: 0, or an offset that was returned before.
    Returns:
        For each line the offset of the next line, and the line without its end.
    Raises:
        CredentialsUnavailable: there are no credentials of AWS.
        UpstreamError: S3 could not be reached, or has no such file.
        ServiceUnavailable: UPLOADS_BUCKET is not set.
    """
    import httpx  # noqa: PLC0415  # functions that sign forms do without it

    from decant import http  # noqa: PLC0415

    scheme, host, path = _address(_bucket())
    keys, scope = await credentials(), _scope(datetime.now(UTC))
    url = presign_url(host, {}, _READ_S, keys, scope, path=f"{path}{key}", payload="UNSIGNED-PAYLOAD")
    rest, offset = b"", start
    try:
        async with http.client().stream("GET", f"{scheme}://{url}", headers={"Range": f"bytes={start}-"}) as response:
            if response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:  # the file ends there
                return
            response.raise_for_status()
            async for chunk in response.aiter_raw():
                *whole, rest = (rest + chunk).split(b"\n")
                for line in whole:
                    offset += len(line) + 1
                    yield offset, line.removesuffix(b"\r")
    except httpx.HTTPStatusError as error:
        raise UpstreamError(f"S3 responded with {error.response.status_code}.") from error
    except httpx.HTTPError as error:
        raise UpstreamError("S3 could not be read.") from error
    if rest:
        yield offset + len(rest), rest


def _bucket() -> str:
    bucket = load(UploadSettings).bucket
    if bucket is None:
        raise ServiceUnavailable("There is no bucket for uploads: UPLOADS_BUCKET is not set.")
    return bucket


def _address(bucket: str) -> tuple[str, str, str]:
    """Scheme, host and path of a bucket."""
    settings = load(AwsSettings)
    if settings.endpoint_url is None:
        return "https", f"{bucket}.s3.{settings.region}.amazonaws.com", "/"
    scheme, _, host = settings.endpoint_url.rstrip("/").partition("://")
    return scheme, host, f"/{bucket}/"


def _scope(at: datetime) -> CredentialScope:
    return CredentialScope(service="s3", region=load(AwsSettings).region, at=at)
