"""POST /orders: stores an order and starts its workflow."""

from typing import Literal

from flask import Flask

from decant import db
from decant.web import body, idempotent, lambda_handler, limit_per_caller
from domain import orders

app = Flask(__name__)


@app.post("/orders")
@limit_per_caller
@idempotent
async def orders_create() -> tuple[orders.ShownOrder, Literal[201]]:
    """Store the order in the body; its workflow charges for it and waits for its approval."""
    wanted = body(orders.NewOrder)
    async with db.session() as session:
        order = await orders.create(session, wanted)
    return order.shown(), 201


handler = lambda_handler(app)
