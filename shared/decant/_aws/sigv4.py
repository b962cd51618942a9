"""Signatures of requests to AWS, without botocore: importing its signer costs 100 ms of every cold start.

Source: AWS Signature Version 4, IAM User Guide.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from urllib.parse import quote, urlsplit

from decant._aws.credentials import Credentials

__all__ = ["CredentialScope", "presign_url", "sign_headers"]

_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, kw_only=True)
class CredentialScope:
    """Service, region and time that a signature is valid for.

    Attributes:
        service: Name of the service in credentials, such as `sqs`.
        at: Time of signing, UTC. AWS accepts a signature for five minutes, and a pre-signed URL for its own period.
    """

    service: str
    region: str
    at: datetime

    @cached_property
    def timestamp(self) -> str:
        """The time in AWS's format."""
        return f"{self.at:%Y%m%dT%H%M%SZ}"

    @cached_property
    def text(self) -> str:
        """The scope in AWS's format."""
        return f"{self.at:%Y%m%d}/{self.region}/{self.service}/aws4_request"


def sign_headers(
    url: str, headers: Mapping[str, str], body: bytes, credentials: Credentials, scope: CredentialScope
) -> dict[str, str]:
    """The headers of a POST, with its signature.

    Args:
        url: Absolute, without a query.
        headers: All headers of the request; they are signed, and so is `Host`.
        body: Body of the request.
        credentials: The keys to sign with.
        scope: Service, region and time.
    """
    target = urlsplit(url)
    host, path = target.netloc, target.path or "/"
    sent = {**headers, "X-Amz-Date": scope.timestamp}
    if credentials.token:
        sent["X-Amz-Security-Token"] = credentials.token
    names = {name.lower(): value.strip() for name, value in {**sent, "Host": host}.items()}
    ordered = sorted(names)
    listed = ";".join(ordered)
    lines = "".join([f"{name}:{names[name]}\n" for name in ordered])
    request = f"POST\n{quote(path)}\n\n{lines}\n{listed}\n{hashlib.sha256(body).hexdigest()}"
    signature = _signature(request, credentials, scope)
    given = f"Credential={credentials.access_key}/{scope.text}, SignedHeaders={listed}, Signature={signature}"
    return {**sent, "Authorization": f"{_ALGORITHM} {given}"}


def presign_url(
    host: str, query: Mapping[str, str], expires_s: int, credentials: Credentials, scope: CredentialScope
) -> str:
    """A pre-signed URL of a GET of `/`, without its `https://`.

    Args:
        host: Host and port.
        query: Parameters of the request.
        expires_s: Validity, seconds.
        credentials: The keys to sign with.
        scope: Service, region and time.
    """
    asked = {
        **query,
        "X-Amz-Algorithm": _ALGORITHM,
        "X-Amz-Credential": f"{credentials.access_key}/{scope.text}",
        "X-Amz-Date": scope.timestamp,
        "X-Amz-Expires": str(expires_s),
        "X-Amz-SignedHeaders": "host",
    }
    if credentials.token:
        asked["X-Amz-Security-Token"] = credentials.token
    pairs = "&".join(f"{_quoted(name)}={_quoted(asked[name])}" for name in sorted(asked))
    request = f"GET\n/\n{pairs}\nhost:{host}\n\nhost\n{hashlib.sha256().hexdigest()}"
    return f"{host}/?{pairs}&X-Amz-Signature={_signature(request, credentials, scope)}"


def _signature(request: str, credentials: Credentials, scope: CredentialScope) -> str:
    key = f"AWS4{credentials.secret_key}".encode()
    for part in scope.text.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    digest = hashlib.sha256(request.encode()).hexdigest()
    return hmac.digest(key, f"{_ALGORITHM}\n{scope.timestamp}\n{scope.text}\n{digest}".encode(), "sha256").hex()


def _quoted(text: str) -> str:
    return quote(text, safe="-_.~")
