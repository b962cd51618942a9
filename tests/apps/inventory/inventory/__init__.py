"""A REST API with blueprints, schemas, CORS and a cache."""

import os

from flask import Flask, jsonify
from flask_cors import CORS
from flask_smorest import Api

from inventory.models import cache, db


def create_app(config=None):
    app = Flask(__name__)
    app.config.update(
        API_TITLE="Inventory",
        API_VERSION="1",
        OPENAPI_VERSION="3.0.3",
        SQLALCHEMY_DATABASE_URI=os.environ.get("DATABASE_URL", "sqlite:///inventory.db"),
        SECRET_KEY=os.environ.get("SECRET_KEY", "dev"),
        CACHE_TYPE="NullCache",
    )
    app.config.update(config or {})
    db.init_app(app)
    cache.init_app(app)
    CORS(app, origins=["https://shop.example"], expose_headers=["X-Total"])

    from inventory.items import items
    from inventory.orders import orders

    api = Api(app)
    api.register_blueprint(items)
    api.register_blueprint(orders)

    @app.get("/")
    def index():
        return jsonify(name="inventory")

    @app.errorhandler(409)
    def conflict(error):
        return jsonify(conflict=error.description), 409

    @app.after_request
    def add_version(response):
        response.headers["X-Version"] = "7"
        return response

    @app.cli.command("init-db")
    def init_db():
        db.drop_all()
        db.create_all()

    return app
