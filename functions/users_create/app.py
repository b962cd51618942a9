"""POST /users: stores a user."""

from typing import Literal

from flask import Flask

from decant import db
from decant.web import body, etag, idempotent, lambda_handler, limit_per_caller
from domain import users

app = Flask(__name__)


@app.post("/users")
@limit_per_caller
@idempotent
async def users_create() -> tuple[users.ShownUser, Literal[201], dict[str, str]]:
    """Store the user in the body; 409 when the e-mail address is taken."""
    wanted = body(users.NewUser)
    async with db.session() as session:
        user = await users.create(session, wanted)
    shown = user.shown(private=True)
    return shown, 201, {"Location": f"users/{user.id}"} | etag(shown, changed=True)


handler = lambda_handler(app)
