"""Orders: the table, and the workflow of an order: payment, approval and timeout."""

import uuid
from datetime import datetime, timedelta
from typing import Annotated

from msgspec import Meta, Struct
from sqlalchemy import DateTime, func, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from decant.errors import NotFound, WaitTimeout
from decant.workflows import step, step_key, wait_for, workflow
from domain.users import Base

__all__ = ["Approval", "NewOrder", "Order", "ShownOrder", "approve", "create", "fulfil"]


class Order(Base):
    """An order; its state is `new`, `paid`, `approved`, `rejected` or `expired`."""

    __tablename__ = "orders"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    item: Mapped[str]
    amount: Mapped[int]
    state: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())

    def shown(self) -> "ShownOrder":
        """The order as clients receive it."""
        return ShownOrder(self.id, self.item, self.amount, self.state, self.created_at)


class ShownOrder(Struct):
    """An order.

    Attributes:
        amount: Price, cents.
    """

    id: uuid.UUID
    item: str
    amount: int
    state: str
    created_at: datetime


class NewOrder(Struct, forbid_unknown_fields=True):
    """An order to create."""

    item: Annotated[str, Meta(min_length=1, max_length=200, pattern=r"\A[^\x00]*\Z")]
    amount: Annotated[int, Meta(ge=1, le=1_000_000)]


class Approval(Struct, forbid_unknown_fields=True):
    """A decision about an order."""

    by: Annotated[str, Meta(min_length=1, max_length=200, pattern=r"\A[^\x00]*\Z")]
    approved: bool = True


async def charge(amount: int) -> str:
    """Charge the customer; stands for a payment service, which receives the key as its idempotency key."""
    return f"payment of {amount}: {step_key()}"


async def refund(payment: str) -> str:
    """Refund a payment."""
    return f"refund of {payment}"


async def change_state(order_id: uuid.UUID, state: str, *, session: AsyncSession) -> None:
    """Change the state of an order."""
    await session.execute(update(Order).where(Order.id == order_id).values(state=state))


@workflow
async def fulfil(order_id: uuid.UUID, amount: int) -> str:
    """Charge for an order, wait for its approval, and refund it when it is rejected or not approved in time."""
    payment = await step(charge, amount, retries=5)
    await step(change_state, order_id, "paid")
    try:
        approval = await wait_for("approval", Approval, timeout=timedelta(days=7))
        state = "approved" if approval.approved else "rejected"
    except WaitTimeout:
        state = "expired"
    if state != "approved":
        await step(refund, payment, retries=5)
    await step(change_state, order_id, state)
    return state


async def create(session: AsyncSession, new: NewOrder) -> Order:
    """Store an order and start its workflow, in one transaction."""
    order = Order(item=new.item, amount=new.amount, state="new")
    session.add(order)
    await session.flush()
    await fulfil.start(order.id, order.amount, id=f"order-{order.id}", session=session)
    return order


async def approve(order_id: uuid.UUID, approval: Approval) -> None:
    """Send a decision to the workflow of an order; only the first is received.

    Raises:
        NotFound: no order has this id.
        Conflict: the order waits for no decision any more.
    """
    run = await fulfil.find(f"order-{order_id}")
    if run is None:
        raise NotFound(f"No order has the id {str(order_id)!r}.")
    await run.send("approval", approval, id="approval")
