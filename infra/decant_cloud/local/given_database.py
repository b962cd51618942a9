"""An existing database, at DATABASE_URL."""

from collections.abc import Callable
from urllib.parse import urlsplit

from decant_cloud.local.errors import LocalCloudError

__all__ = ["GivenDatabase"]

_SCHEMES = ("postgresql", "postgres", "postgresql+asyncpg", "postgresql+psycopg")


class GivenDatabase:
    """Used by `make up` in place of PostgreSQL from the wheel; it is neither started, stopped nor deleted.

    Raises:
        LocalCloudError: the functions cannot use the address.
    """

    def __init__(self, url: str) -> None:
        try:
            parts = urlsplit(url)  # and not SQLAlchemy: to import that takes half a second of each start
        except ValueError as error:
            raise LocalCloudError("DATABASE_URL is not a URL.") from error
        if parts.scheme not in _SCHEMES:
            raise LocalCloudError(f"DATABASE_URL has to begin with {', '.join(f'{name}://' for name in _SCHEMES)}.")
        self._url = url
        self.title = f"Database {parts.path.removeprefix('/')} on {parts.hostname}, of DATABASE_URL"

    def url(self) -> str:
        """Its SQLAlchemy address."""
        return self._url

    def start(self) -> None:
        """Do nothing: the migrations connect first, from the same place as the functions."""

    def stop(self) -> None:
        """Do nothing: another owner runs it."""

    def keep_running(self, report: Callable[[str], object]) -> None:
        """Do nothing: another owner runs it."""
