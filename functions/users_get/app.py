"""GET /users/{user_id}: reads a user."""

from typing import Any
from uuid import UUID

from flask import Flask

from decant import db
from decant.web import lambda_handler
from domain import users

app = Flask(__name__)


@app.get("/users/<uuid:user_id>")
async def users_get(user_id: UUID) -> dict[str, Any]:
    """Answer the user, or 404."""
    async with db.session() as session:
        user = await users.get(session, user_id)
    return user.as_json()


handler = lambda_handler(app)
