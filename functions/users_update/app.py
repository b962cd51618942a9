"""PATCH /users/{user_id}: changes a user; requires the scope users:write."""

from typing import Literal
from uuid import UUID

from flask import Flask

from decant import auth, db
from decant.web import body, etag, lambda_handler
from domain import users

app = Flask(__name__)


@app.patch("/users/<uuid:user_id>")
async def users_update(user_id: UUID) -> tuple[users.ShownUser, Literal[200], dict[str, str]]:
    """Change the given fields of the user; 409 when the e-mail address is taken."""
    await auth.require("users:write")
    changes = body(users.UserChanges)
    async with db.session() as session:
        user = await users.get(session, user_id, lock=True)
        etag(user.shown(private=True))
        await users.change(session, user, changes)
    shown = user.shown(private=True)
    return shown, 200, etag(shown, changed=True)


handler = lambda_handler(app)
