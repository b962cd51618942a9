"""DELETE /users/{user_id}: deletes a user; requires the scope users:write."""

from typing import Literal
from uuid import UUID

from flask import Flask

from decant import auth, db
from decant.web import etag, lambda_handler
from domain import users

app = Flask(__name__)


@app.delete("/users/<uuid:user_id>")
async def users_delete(user_id: UUID) -> tuple[str, Literal[204]]:
    """Delete the user, or 404."""
    await auth.require("users:write")
    async with db.session() as session:
        user = await users.get(session, user_id, lock=True)
        etag(user.shown(private=True))
        await session.delete(user)
    return "", 204


handler = lambda_handler(app)
