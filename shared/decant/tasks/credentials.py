"""AWS credentials, as botocore finds them, without what is slow about it.

Lambda puts them into the environment, where they stay valid as long as the process lives: that is looked at first,
and needs no botocore session. Anything else (a profile, the container credentials of a function restored by SnapStart)
goes through botocore's whole chain, and is refreshed in a thread when it is about to run out.
"""

import asyncio
from typing import TYPE_CHECKING

from decant import loop

if TYPE_CHECKING:
    from botocore.credentials import Credentials

__all__ = ["CredentialsUnavailable", "credentials"]

_found: "Credentials | None" = None


class CredentialsUnavailable(Exception):
    """There are no credentials, or they could not be refreshed."""


async def credentials() -> "Credentials":
    """Credentials that are valid now.

    Raises:
        CredentialsUnavailable: there are none; when a refresh failed, retrying may help.
    """
    from botocore.credentials import RefreshableCredentials  # noqa: PLC0415  # where the first request is signed
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415  # likewise

    global _found  # noqa: PLW0603  # found once per process
    try:
        if _found is None:
            _found = await asyncio.to_thread(_find)
            loop.on_close(_forget)
        if isinstance(_found, RefreshableCredentials) and _found.refresh_needed():
            await asyncio.to_thread(_found.get_frozen_credentials)
    except BotoCoreError as error:
        raise CredentialsUnavailable(str(error)) from error
    return _found


def _find() -> "Credentials":
    from botocore.credentials import EnvProvider  # noqa: PLC0415  # likewise
    from botocore.session import Session  # noqa: PLC0415  # likewise

    found = EnvProvider().load() or Session().get_credentials()
    if found is None:
        raise CredentialsUnavailable("There are no AWS credentials.")
    return found


async def _forget() -> None:
    """Look for them anew, so that none are kept in a snapshot."""
    global _found  # noqa: PLW0603  # likewise
    _found = None
