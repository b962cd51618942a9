"""A database that somebody else runs, at DATABASE_URL."""

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from infra.local.errors import LocalCloudError

__all__ = ["GivenDatabase"]

_DRIVERS = ("postgresql+asyncpg", "postgresql+psycopg")


class GivenDatabase:
    """What `make up` uses in place of a PostgreSQL of its own; nothing in it is started, stopped or deleted.

    Raises:
        LocalCloudError: the address is none that the functions could use.
    """

    def __init__(self, url: str) -> None:
        try:
            self._url = make_url(url)
        except ArgumentError as error:
            raise LocalCloudError("DATABASE_URL is no SQLAlchemy address.") from error
        if self._url.drivername not in _DRIVERS:
            raise LocalCloudError(f"DATABASE_URL has to begin with {_DRIVERS[0]}:// or {_DRIVERS[1]}://.")
        self.title = f"Database {self._url.database} on {self._url.host}, of DATABASE_URL"

    def url(self) -> str:
        """Its SQLAlchemy address."""
        return self._url.render_as_string(hide_password=False)

    def start(self) -> None:
        """Nothing: the migrations are the first to connect, from where the functions will."""

    def stop(self) -> None:
        """Nothing: it is not ours."""

    def is_running(self) -> bool:
        """As far as anyone here can tell."""
        return True
