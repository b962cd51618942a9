"""Secrets of AWS Secrets Manager, read at first use.

token = await secret("myshop/mail-token")
"""

import logging
from collections.abc import Mapping

from decant import runtime
from decant._aws import api
from decant.errors import AwsUnavailable

__all__ = ["provide", "secret"]

log = logging.getLogger(__name__)


class _Secrets(dict[str, str]):
    """Texts of the secrets that were read, by identifier; dropped before a snapshot."""


class _Provided(dict[str, str]):
    """Texts of secrets that are not read from AWS, by identifier."""


def provide(secrets: Mapping[str, str]) -> None:
    """Give secrets these texts in place of those of Secrets Manager, for processes and tests without AWS.

    Args:
        secrets: Texts by identifier.
    """
    runtime.current().get(_Provided, _Provided).update(secrets)


async def secret(identifier: str, *, fresh: bool = False) -> str:
    """The text of a secret. It is read once per process.

    Args:
        identifier: The secret's ARN or name.
        fresh: Read it again, since it may have been rotated.
    Raises:
        AwsUnavailable: it does not exist, may not be read, or Secrets Manager did not respond; `code` is the reason.
        CredentialsUnavailable: there are no AWS credentials.
    """
    provided = runtime.current().get(_Provided, _Provided)
    if identifier in provided:
        return provided[identifier]
    known = runtime.current().get(_Secrets, _Secrets)
    if fresh or identifier not in known:
        known[identifier] = await _read(identifier)
    return known[identifier]


async def _read(identifier: str) -> str:
    try:
        response = await api.call("secretsmanager", "secretsmanager.GetSecretValue", {"SecretId": identifier})
    except AwsUnavailable as error:
        log.warning("Secret could not be read", extra={"secret": identifier, "reason": error.reason})
        raise
    text: str = response.get("SecretString", "")  # a binary secret has none
    return text
