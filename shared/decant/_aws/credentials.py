"""AWS credentials, from the sources that botocore reads, without importing it where the environment has them.

Lambda sets them as environment variables, which stay valid for the life of the process, so these are read first. All
other sources (a profile, the container credentials of a function restored by SnapStart) are read through botocore's
chain, which refreshes expiring credentials, in a thread.
"""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from decant import runtime
from decant.config import load, setting, text
from decant.errors import CredentialsUnavailable

if TYPE_CHECKING:
    from botocore.credentials import Credentials as Chain
    from botocore.credentials import ReadOnlyCredentials

__all__ = ["Credentials", "credentials"]


@dataclass(frozen=True, kw_only=True, repr=False)
class Credentials:
    """The keys that requests are signed with. Without a `repr`, so that no log contains them."""

    access_key: str = setting("AWS_ACCESS_KEY_ID", text, "Set by Lambda", default="")
    secret_key: str = setting("AWS_SECRET_ACCESS_KEY", text, "Set by Lambda", default="")
    token: str = setting("AWS_SESSION_TOKEN", text, "Set by Lambda", default="")


async def credentials() -> Credentials:
    """Credentials that are valid now.

    Raises:
        CredentialsUnavailable: there are none; when a refresh failed, retrying may help.
    """
    own: Credentials = load(Credentials)
    if own.access_key and own.secret_key:
        return own
    return await _from_chain()


async def _from_chain() -> Credentials:
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415  # only where the environment holds none

    try:
        # In a thread, since it may be the moment to ask for new ones.
        found = await asyncio.to_thread(_frozen)
    except BotoCoreError as error:
        raise CredentialsUnavailable(str(error)) from error
    return Credentials(access_key=found.access_key or "", secret_key=found.secret_key or "", token=found.token or "")


def _frozen() -> "ReadOnlyCredentials":
    from botocore.session import Session  # noqa: PLC0415  # imported only where the environment has no credentials

    chain = runtime.current().get(_Chain, lambda: _Chain(Session().get_credentials())).found
    if chain is None:
        raise CredentialsUnavailable("There are no AWS credentials.")
    return chain.get_frozen_credentials()


@dataclass(frozen=True)
class _Chain:
    """botocore's credentials, looked up once per runtime; dropped before a snapshot."""

    found: "Chain | None"
