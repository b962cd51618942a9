"""Settings of the web adapters."""

from decant.config import count, setting, settings_group, text

__all__ = ["WebSettings"]


@settings_group
class WebSettings:
    """Settings of the web adapters."""

    cors_origin: str | None = setting(
        "CORS_ORIGIN", text, "Origin of the web page that may read responses in a browser, or `*`", default=None
    )
    body_limit_bytes: int = setting(
        "BODY_LIMIT_BYTES", count, "Maximum size of a request body, bytes", default=10 * 1024 * 1024
    )
