"""One module with asynchronous views."""

import asyncio

from flask import Blueprint, Flask, abort, jsonify, make_response, request, session, stream_with_context

app = Flask(__name__)
app.secret_key = "dev"
feeds = Blueprint("feeds", __name__)


async def length(text):
    await asyncio.sleep(0.001)
    return len(text)


@app.before_request
async def count():
    session["count"] = session.get("count", 0) + 1


@feeds.get("/")
async def index():
    lengths = await asyncio.gather(*(length(word) for word in request.args.get("words", "a bc").split()))
    return jsonify(lengths=lengths, count=session["count"])


@feeds.get("/<slug>")
async def feed(slug):
    if await length(slug) > 8:
        abort(404)
    response = make_response(slug.upper())
    response.set_etag(slug)
    return response.make_conditional(request)


@feeds.put("/<name>/entries")
async def add(name):
    data = await request_data()
    return {"name": name, "bytes": len(data)}, 201, {"Location": f"/{name}/entries/1"}


async def request_data():
    await asyncio.sleep(0)
    return request.get_data()


@app.get("/lines")
def lines():
    return stream_with_context(f"{number}\n" for number in range(3)), {"Content-Type": "text/plain"}


@app.errorhandler(404)
async def missing(error):
    await asyncio.sleep(0)
    return "nothing here", 404


app.register_blueprint(feeds, url_prefix="/feeds")
