"""GET /console: a page that shows and controls tasks. Its JSON routes check tokens with `decant.auth`."""

from decant.console.app import console_app
from decant.web import lambda_handler

app = console_app(read="tasks:read", admin="tasks:admin")
handler = lambda_handler(app)
