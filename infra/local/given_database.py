"""A database that somebody else runs, at DATABASE_URL."""

from collections.abc import Callable
from urllib.parse import urlsplit

from infra.local.errors import LocalCloudError

__all__ = ["GivenDatabase"]

_SCHEMES = ("postgresql", "postgres", "postgresql+asyncpg", "postgresql+psycopg")


class GivenDatabase:
    """What `make up` uses in place of a PostgreSQL of its own; nothing in it is started, stopped or deleted.

    Raises:
        LocalCloudError: the address is none that the functions could use.
    """

    def __init__(self, url: str) -> None:
        try:
            parts = urlsplit(url)  # and not SQLAlchemy: to import that takes half a second of each start
        except ValueError as error:
            raise LocalCloudError("DATABASE_URL is no address.") from error
        if parts.scheme not in _SCHEMES:
            raise LocalCloudError(f"DATABASE_URL has to begin with {', '.join(f'{name}://' for name in _SCHEMES)}.")
        self._url = url
        self.title = f"Database {parts.path.removeprefix('/')} on {parts.hostname}, of DATABASE_URL"

    def url(self) -> str:
        """Its SQLAlchemy address."""
        return self._url

    def start(self) -> None:
        """Nothing: the migrations are the first to connect, from where the functions will."""

    def stop(self) -> None:
        """Nothing: it is not ours."""

    def keep_running(self, report: Callable[[str], object]) -> None:
        """Nothing: it is not ours to restart."""
