"""A database that DATABASE_URL names."""

import pytest

from decant_cloud.local.errors import LocalCloudError
from decant_cloud.local.given_database import GivenDatabase

URL = "postgresql+asyncpg://ada:secret@db.example:5432/app"


def test_given_database_is_handed_on_whole() -> None:
    """Functions get the address with its password; the screen does not."""
    database = GivenDatabase(URL)

    assert database.url() == URL
    assert database.title == "Database app on db.example, of DATABASE_URL"


@pytest.mark.parametrize("url", ["nonsense", "postgresql+psycopg2://db.example/app", "mysql+aiomysql://db.example/app"])
def test_given_database_has_to_be_one_for_the_functions(url: str) -> None:
    """What they could not use is refused before anything starts."""
    with pytest.raises(LocalCloudError, match="DATABASE_URL"):
        GivenDatabase(url)
