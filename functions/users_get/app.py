"""GET /users/{user_id}: returns a user; the e-mail address only to a token with a scope of users."""

from typing import Literal
from uuid import UUID

from flask import Flask

from decant import auth, db
from decant.web import etag, lambda_handler
from domain import users

app = Flask(__name__)


@app.get("/users/<uuid:user_id>")
async def users_get(user_id: UUID) -> tuple[users.ShownUser, Literal[200], dict[str, str]]:
    """Return the user, or 404; with the e-mail address when the token has the scope users:read or users:write."""
    scopes = await auth.scopes()
    async with db.session() as session:
        user = await users.get(session, user_id)
    shown = user.shown(private=not scopes.isdisjoint(users.EMAIL_SCOPES))
    return shown, 200, etag(shown)


handler = lambda_handler(app)
