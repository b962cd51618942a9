"""GET /users: users, newest first, page by page; requires the scope users:read."""

from typing import Annotated, Literal

from flask import Flask
from msgspec import Meta, Struct

from decant import auth, db
from decant.web import etag, lambda_handler, limit_per_caller, page, query
from domain import users

app = Flask(__name__)


class Filter(Struct, forbid_unknown_fields=True):
    """Conditions that users must meet; `before` comes from the header Link of the previous page."""

    email: str | None = None
    before: users.Position | None = None
    count: Annotated[int, Meta(ge=1, le=200)] = 50


@app.get("/users")
@limit_per_caller
async def users_list() -> tuple[list[users.ShownUser], Literal[200], dict[str, str]]:
    """Return a page of users, newest first; the header Link names the next page."""
    await auth.require("users:read")
    wanted = query(Filter)
    async with db.session() as session:
        found = await session.scalars(users.newest(wanted.count + 1, before=wanted.before, email=wanted.email))
    rows, links = page(found.all(), wanted.count, before=lambda user: (user.created_at, user.id))
    shown = [user.shown(private=True) for user in rows]
    return shown, 200, links | etag(shown)


handler = lambda_handler(app)
