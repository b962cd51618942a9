"""POST /orders/{order_id}/approval: approves or rejects an order; requires the scope orders:approve."""

from typing import Literal
from uuid import UUID

from flask import Flask

from decant import auth
from decant.web import body, lambda_handler
from domain import orders

app = Flask(__name__)


@app.post("/orders/<uuid:order_id>/approval")
async def orders_approve(order_id: UUID) -> tuple[str, Literal[204]]:
    """Approve or reject the order; a second decision has no effect."""
    await auth.require("orders:approve")
    await orders.approve(order_id, body(orders.Approval))
    return "", 204


handler = lambda_handler(app)
