from flask import request
from flask_smorest import Blueprint, abort

from inventory.models import Item, db

orders = Blueprint("orders", __name__, url_prefix="/orders", description="Orders")


@orders.route("/<int:item_id>", methods=["POST"])
def order(item_id):
    item = db.get_or_404(Item, item_id)
    wanted = request.get_json()["count"]
    if wanted > item.stock:
        abort(409, description="Out of stock")
    item.stock -= wanted
    db.session.commit()
    return {"left": item.stock}


@orders.route("/<path:name>/history")
def history(name):
    return {"name": name}
