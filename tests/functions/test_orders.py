"""Orders through their handlers, with their workflow, on a real PostgreSQL."""

from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from decant import db, loop
from decant.testing import memory
from decant.workflows import WorkflowRun
from decant_cloud.invocation import Call, ReadEvent, Response, Token
from domain.orders import Approval, NewOrder, create, fulfil


async def state_of(order_id: UUID) -> str:
    """State of an order in the database."""
    async with db.session() as session:
        found = await session.execute(text("SELECT state FROM orders WHERE id = :id"), {"id": order_id})
        return str(found.scalar_one())


async def new_order() -> UUID:
    """Create an order, which starts its workflow."""
    async with db.session() as session:
        return (await create(session, NewOrder("chair", 4_900))).id


async def run_of(order_id: UUID) -> WorkflowRun:
    """The run of an order."""
    run = await fulfil.find(f"order-{order_id}")
    assert run is not None
    return run


@pytest.mark.usefixtures("database_url")
async def test_order_is_paid_and_approved() -> None:
    """The workflow charges, waits, and continues with the approval."""
    with memory() as broker:
        order_id = await new_order()
        await broker.run()
        paid = await state_of(order_id)
        run = await run_of(order_id)
        await run.send("approval", Approval("Ada"))
        await broker.run()

        assert [paid, await state_of(order_id), await run.result(timeout=0)] == ["paid", "approved", "approved"]


@pytest.mark.usefixtures("database_url")
async def test_order_that_is_rejected_is_refunded() -> None:
    """The refund is of the payment that was recorded."""
    with memory() as broker:
        order_id = await new_order()
        run = await run_of(order_id)
        await run.send("approval", Approval("Ada", approved=False))
        await broker.run()

        results = {recorded.name: recorded.result for recorded in await run.steps()}
        assert results["refund"] == f"refund of {results['charge']}"
        assert await state_of(order_id) == "rejected"


@pytest.mark.usefixtures("database_url")
async def test_order_that_is_not_approved_in_time_expires() -> None:
    """The payment is refunded after a week."""
    with memory() as broker:
        order_id = await new_order()
        await broker.run_all()  # sleeps and timeouts end when nothing else is due

        run = await run_of(order_id)
        assert [await state_of(order_id), await run.result(timeout=0)] == ["expired", "expired"]
        assert "refund" in [recorded.name for recorded in await run.steps()]


@pytest.fixture
def approve(call: Call, event: ReadEvent, token: Token) -> Call:
    """POST /orders/{order_id}/approval with a token of a scope."""

    def send(order_id: object, scope: str = "orders:approve", **changes: str) -> Response:
        headers = {"Authorization": f"Bearer {token(scope)}"}
        return call(
            "orders_approve", event("orders_approve", path=f"/orders/{order_id}/approval", headers=headers, **changes)
        )

    return send


@pytest.mark.usefixtures("database_url")
def test_order_is_created_and_approved_by_the_routes(call: Call, event: ReadEvent, approve: Call) -> None:
    """The order and its run are stored; the decision reaches the run."""
    created = call("orders_create", event("orders_create"))
    order = created.json()

    approved = approve(order["id"])

    assert (created.status, order["state"], order["amount"]) == (201, "new", 4_900)
    assert approved.status == 204
    run = loop.run(run_of(order["id"]))
    assert loop.run(run.status()).name == fulfil.name


@pytest.mark.usefixtures("database_url")
def test_approval_requires_its_scope_and_an_order(approve: Call) -> None:
    """Another scope gets 403, an unknown order 404, and a body without a name 422."""
    assert approve(uuid4(), "tasks:admin").status == 403
    assert approve(uuid4()).status == 404
    assert approve(uuid4(), body="{}").status == 422
