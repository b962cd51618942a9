"""The app for an ASGI server."""

from flask import Flask

from decant.asgi.application import FlaskToAsgi
from decant.config import check
from decant.observability import configure
from decant.web.flask_app import observe, use_problem_details

__all__ = ["asgi_app"]


def asgi_app(app: Flask, *, secure_defaults: bool = False) -> FlaskToAsgi:
    """The app for Hypercorn, uvicorn or any other ASGI server.

    Every response carries a correlation id. Register error handlers on the app first: errors without a handler become
    `application/problem+json`.

    Args:
        app: Any Flask app.
        secure_defaults: Reject requests of other sites' pages with unsafe methods, and add headers that make browsers
            treat responses safely, as `lambda_handler` does; see `decant.web.browsers`.
    Raises:
        ConfigError: the settings are bad.
    """
    check()
    configure()
    use_problem_details(app)
    observe(app)
    return FlaskToAsgi(app, correlated=True, secure_defaults=secure_defaults)
