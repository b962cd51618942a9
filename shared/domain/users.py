"""Users: the table, and what is done with it."""

import uuid
from datetime import datetime
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType
from sqlalchemy import DateTime, Index, func, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from decant.errors import Conflict, NotFound

__all__ = ["Base", "NewUser", "ShownUser", "User", "create", "get"]


class Base(DeclarativeBase):
    """Base of this app's tables."""


class User(Base):
    """A person who has signed up."""

    __tablename__ = "users"
    __table_args__ = (Index("users_email_key", text("lower(email)"), unique=True),)

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
        email: Only for callers whose token has the scope users:read, and for the caller that created the user.
    """

    id: uuid.UUID
    name: str
    created_at: datetime
    email: str | UnsetType = UNSET


class NewUser(Struct, forbid_unknown_fields=True):
    """A user to create."""

    name: Annotated[str, Meta(min_length=1, max_length=200, pattern=r"\A[^\x00]*\Z")]
    email: Annotated[str, Meta(max_length=254, pattern=r"\A[^@\s\x00]+@[^@\s\x00]+\.[^@\s\x00]+\Z")]


async def create(session: AsyncSession, new: NewUser) -> User:
    """Store a user.

    Raises:
        Conflict: the e-mail address is taken; case is ignored.
    """
    user = User(name=new.name, email=new.email)
    session.add(user)
    try:
        await session.flush()
    except IntegrityError as error:
        if "users_email_key" not in str(error.orig):
            raise
        raise Conflict("A user with this e-mail address exists already.") from error
    return user


async def get(session: AsyncSession, user_id: uuid.UUID) -> User:
    """Read a user.

    Raises:
        NotFound: no user has this id.
    """
    user = await session.get(User, user_id)
    if user is None:
        raise NotFound(f"No user has the id {str(user_id)!r}.")
    return user
