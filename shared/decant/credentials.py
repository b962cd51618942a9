"""AWS credentials, as botocore finds them, without what is slow about it.

Lambda puts them into the environment, where they stay valid as long as the process lives: that is looked at first,
and needs no botocore. Anything else (a profile, the container credentials of a function restored by SnapStart) goes
through botocore's whole chain, and is refreshed in a thread when it is about to run out.
"""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from decant import loop
from decant.config import load, setting, text

if TYPE_CHECKING:
    from botocore.credentials import Credentials as Chain
    from botocore.credentials import ReadOnlyCredentials

__all__ = ["Credentials", "CredentialsUnavailable", "credentials"]

_chain: "Chain | None" = None


class CredentialsUnavailable(Exception):
    """There are no credentials, or they could not be refreshed."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Credentials:
    """What requests are signed with; it has no `repr`, so that no log shows it."""

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
    from botocore.session import Session  # noqa: PLC0415  # likewise

    global _chain  # noqa: PLW0603  # found once per process
    if _chain is None:
        _chain = Session().get_credentials()
        loop.on_close(_forget)
    if _chain is None:
        raise CredentialsUnavailable("There are no AWS credentials.")
    return _chain.get_frozen_credentials()


async def _forget() -> None:
    """Look for them anew, so that none are kept in a snapshot."""
    global _chain  # noqa: PLW0603  # likewise
    _chain = None
