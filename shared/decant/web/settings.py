"""Settings of the web adapters."""

from decant.config import count, setting, settings_group, text

__all__ = ["WebSettings"]


def _rate(value: str) -> int:
    """A whole number; 0 means no limit."""
    return 0 if value == "0" else count(value)


@settings_group
class WebSettings:
    """Settings of the web adapters."""

    cors_origin: str | None = setting(
        "CORS_ORIGIN", text, "Origin of the web page that may read responses in a browser, or `*`", default=None
    )
    body_limit_bytes: int = setting(
        "BODY_LIMIT_BYTES", count, "Maximum size of a request body, bytes", default=10 * 1024 * 1024
    )
    caller_rate_per_minute: int = setting(
        "CALLER_RATE_PER_MINUTE",
        _rate,
        "Requests a minute of one caller to a route with `limit_per_caller`; 0 for no limit",
        default=30,
    )
