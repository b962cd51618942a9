"""GET /fetch-data: asks another service over the shared HTTP client, one document or several at once."""

import asyncio
from typing import Annotated, Any

from flask import Flask
from msgspec import Meta, Struct

from decant import config, http
from decant.errors import InvalidInput, UpstreamError
from decant.web import lambda_handler, query
from domain.config import FetchSettings

app = Flask(__name__)

MOST_IDS = 50
MOST_AT_A_TIME = 10


class Wanted(Struct, forbid_unknown_fields=True):
    """Which documents to fetch: ids with commas between, or none for the configured one."""

    ids: Annotated[str, Meta(pattern=r"^\d{1,18}(,\d{1,18})*$")] | None = None


@app.get("/fetch-data")
async def fetch_data() -> Any:
    """Answer the document at FETCH_DATA_URL, or with `?ids=1,2,3` those of the same collection, in order."""
    url = config.load(FetchSettings).fetch_data_url
    wanted = query(Wanted).ids
    if wanted is None:
        return await http.get_json(url)
    ids = [int(each) for each in wanted.split(",")]
    if len(ids) > MOST_IDS:
        raise InvalidInput({"ids": f"at most {MOST_IDS} ids, not {len(ids)}"})
    at_a_time = asyncio.Semaphore(MOST_AT_A_TIME)
    collection = url.rpartition("/")[0]
    return await asyncio.gather(*(fetch_one(collection, each, at_a_time) for each in ids))


async def fetch_one(collection: str, identifier: int, at_a_time: asyncio.Semaphore) -> dict[str, Any]:
    """One document, or what went wrong with it."""
    async with at_a_time:
        try:
            return {"id": identifier, "data": await http.get_json(f"{collection}/{identifier}")}
        except UpstreamError as error:
            return {"id": identifier, "error": {"status": error.status, "title": error.title, "detail": str(error)}}


handler = lambda_handler(app)
