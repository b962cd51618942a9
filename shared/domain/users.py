"""Users: the table, and what is done with it."""

import uuid
from datetime import datetime
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import asdict
from sqlalchemy import DateTime, Index, Select, func, select, text, tuple_
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from decant.errors import Conflict, NotFound

__all__ = [
    "EMAIL_SCOPES",
    "Base",
    "NewUser",
    "Position",
    "ShownUser",
    "User",
    "UserChanges",
    "change",
    "create",
    "get",
    "newest",
]

EMAIL_SCOPES = {"users:read", "users:write"}
"""Scopes of a token, any of which shows e-mail addresses."""

type Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"\A[^\x00]*\Z")]
type Email = Annotated[str, Meta(max_length=254, pattern=r"\A[^@\s\x00]+@[^@\s\x00]+\.[^@\s\x00]+\Z")]
type Position = tuple[Annotated[datetime, Meta(tz=True)], uuid.UUID]
"""Position of a user in the list: `created_at` and `id`."""


class Base(DeclarativeBase):
    """Base of this app's tables."""


class User(Base):
    """A person who has signed up."""

    __tablename__ = "users"
    __table_args__ = (
        Index("users_email_key", text("lower(email)"), unique=True),
        Index("users_created_at_id", "created_at", "id"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    name: Mapped[str]
    email: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())

    def shown(self, *, private: bool) -> "ShownUser":
        """The user as clients receive it.

        Args:
            private: Whether the e-mail address is included.
        """
        return ShownUser(self.id, self.name, self.created_at, self.email if private else UNSET)


class ShownUser(Struct):
    """A user.

    Attributes:
        email: Only for callers whose token has a scope of users, and for the caller that created the user.
    """

    id: uuid.UUID
    name: str
    created_at: datetime
    email: str | UnsetType = UNSET


class NewUser(Struct, forbid_unknown_fields=True):
    """A user to create."""

    name: Name
    email: Email


class UserChanges(Struct, forbid_unknown_fields=True):
    """Changes of a user; fields that are left out keep their values."""

    name: Name | UnsetType = UNSET
    email: Email | UnsetType = UNSET


async def create(session: AsyncSession, new: NewUser) -> User:
    """Store a user.

    Raises:
        Conflict: the e-mail address is taken; case is ignored.
    """
    user = User(name=new.name, email=new.email)
    session.add(user)
    await _flush(session)
    return user


async def change(session: AsyncSession, user: User, changes: UserChanges) -> None:
    """Change a user.

    Raises:
        Conflict: the e-mail address is taken; case is ignored.
    """
    for name, value in asdict(changes).items():
        if value is not UNSET:
            setattr(user, name, value)
    await _flush(session)


async def _flush(session: AsyncSession) -> None:
    try:
        await session.flush()
    except IntegrityError as error:
        if "users_email_key" not in str(error.orig):
            raise
        raise Conflict("A user with this e-mail address exists already.") from error


def newest(count: int, *, before: Position | None = None, email: str | None = None) -> Select[User]:
    """The query of a page of users, newest first.

    Args:
        count: Maximum number of users.
        before: Only users behind this position.
        email: Only the user with this address; case is ignored.
    """
    users = select(User).order_by(User.created_at.desc(), User.id.desc()).limit(count)
    if before is not None:
        users = users.where(tuple_(User.created_at, User.id) < before)
    if email is not None:
        users = users.where(func.lower(User.email) == func.lower(email))
    return users


async def get(session: AsyncSession, user_id: uuid.UUID, *, lock: bool = False) -> User:
    """Read a user.

    Args:
        session: Where it is read.
        user_id: Its id.
        lock: Lock the row until the transaction ends, to change it.
    Raises:
        NotFound: no user has this id.
    """
    user = await session.get(User, user_id, with_for_update=lock)
    if user is None:
        raise NotFound(f"No user has the id {str(user_id)!r}.")
    return user
