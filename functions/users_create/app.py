"""POST /users: stores a user."""

from flask import Flask
from flask.typing import ResponseReturnValue

from decant import db
from decant.web import body, lambda_handler, limit_per_caller
from domain import users

app = Flask(__name__)


@app.post("/users")
@limit_per_caller
async def users_create() -> ResponseReturnValue:
    """Store the user in the body; 409 when the e-mail address is taken."""
    wanted = body(users.NewUser)
    async with db.session() as session:
        user = await users.create(session, wanted)
    return user.as_json(private=True), 201, {"Location": f"users/{user.id}"}


handler = lambda_handler(app)
