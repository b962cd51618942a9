"""GET /fetch-data: fetches documents from another service over the shared HTTP client."""

import asyncio
from typing import Annotated, Any

from flask import Flask, Response, jsonify
from msgspec import Meta, Struct

from decant import config, http
from decant.errors import InvalidInput, UpstreamError
from decant.web import lambda_handler, limit_per_caller, query, responds
from domain.config import FetchSettings

app = Flask(__name__)

MAX_IDS = 50
MAX_CONCURRENT_FETCHES = 10


class Selection(Struct, forbid_unknown_fields=True):
    """The documents to fetch: ids separated by commas, or none for the configured document."""

    ids: Annotated[str, Meta(pattern=r"^\d{1,18}(,\d{1,18})*$")] | None = None


@app.get("/fetch-data")
@limit_per_caller
@responds(Any)
async def fetch_data() -> Response:
    """Return the document at FETCH_DATA_URL, or with `?ids=1,2,3` those documents of its collection, in order."""
    url = config.load(FetchSettings).fetch_data_url
    selected = query(Selection).ids
    if selected is None:
        return jsonify(await fetch(url))
    ids = [int(each) for each in selected.split(",")]
    if len(ids) > MAX_IDS:
        raise InvalidInput({"ids": f"at most {MAX_IDS} ids, not {len(ids)}"})
    slots = asyncio.Semaphore(MAX_CONCURRENT_FETCHES)
    collection = url.rpartition("/")[0]
    return jsonify(await asyncio.gather(*(fetch_one(collection, each, slots) for each in ids)))


async def fetch_one(collection: str, identifier: int, slots: asyncio.Semaphore) -> dict[str, Any]:
    """One document of the collection, or the error of its fetch."""
    async with slots:
        try:
            return {"id": identifier, "data": await fetch(f"{collection}/{identifier}")}
        except UpstreamError as error:
            return {"id": identifier, "error": {"status": error.status, "title": error.title, "detail": str(error)}}


async def fetch(url: str) -> Any:
    """The JSON document at the address."""
    document = await http.get_json(url)
    if document is None:
        raise UpstreamError("The upstream service responded with null in place of a document.")
    return document


handler = lambda_handler(app)
