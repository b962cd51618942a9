"""GET /users/{user_id}: returns a user; the e-mail address only to a token with the scope users:read."""

from uuid import UUID

from flask import Flask

from decant import auth, db
from decant.web import lambda_handler
from domain import users

app = Flask(__name__)


@app.get("/users/<uuid:user_id>")
async def users_get(user_id: UUID) -> users.ShownUser:
    """Return the user, or 404; with the e-mail address when the caller's token has the scope users:read."""
    scopes = await auth.scopes()
    async with db.session() as session:
        user = await users.get(session, user_id)
    return user.shown(private="users:read" in scopes)


handler = lambda_handler(app)
