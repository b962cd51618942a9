from flask.views import MethodView
from flask_smorest import Blueprint, abort
from marshmallow import Schema, fields, validate
from sqlalchemy.exc import IntegrityError

from inventory.models import Item, cache, db

items = Blueprint("items", __name__, url_prefix="/items", description="Items")


class ItemSchema(Schema):
    id = fields.Int(dump_only=True)
    name = fields.Str(required=True, validate=validate.Length(1, 80))
    stock = fields.Int(load_default=0)


@items.route("/")
class Items(MethodView):
    @items.response(200, ItemSchema(many=True))
    @items.paginate()
    def get(self, pagination_parameters):
        pagination_parameters.item_count = Item.query.count()
        return Item.query.order_by(Item.id).all()

    @items.arguments(ItemSchema)
    @items.response(201, ItemSchema)
    def post(self, data):
        item = Item(**data)
        db.session.add(item)
        try:
            db.session.commit()
        except IntegrityError:
            db.session.rollback()
            abort(409, description="The name is taken")
        return item


@items.route("/<int:item_id>")
class ItemById(MethodView):
    @items.response(200, ItemSchema)
    def get(self, item_id):
        return db.get_or_404(Item, item_id)

    @items.response(204)
    def delete(self, item_id):
        db.session.delete(db.get_or_404(Item, item_id))
        db.session.commit()


@items.route("/<int:item_id>/label.txt")
@cache.cached(timeout=60)
def label(item_id):
    return f"<{db.get_or_404(Item, item_id).name}>", 200, {"Content-Type": "text/plain; charset=utf-8"}
