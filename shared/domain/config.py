"""This app's own settings, beside Decant's."""

from dataclasses import dataclass

from decant.config import http_url, setting

__all__ = ["FetchSettings"]


@dataclass(frozen=True, kw_only=True, slots=True)
class FetchSettings:
    """Settings of the `fetch_data` function."""

    fetch_data_url: str = setting(
        "FETCH_DATA_URL",
        http_url,
        "What GET /fetch-data fetches; `?ids=` takes others of its collection",
        default="https://jsonplaceholder.typicode.com/todos/1",
    )
