"""This app's own settings, beside Decant's."""

from decant.config import http_url, setting, settings_group

__all__ = ["FetchSettings"]


@settings_group
class FetchSettings:
    """Settings of the `fetch_data` function."""

    fetch_data_url: str = setting(
        "FETCH_DATA_URL",
        http_url,
        "What GET /fetch-data fetches; `?ids=` takes others of its collection",
        default="https://jsonplaceholder.typicode.com/todos/1",
    )
