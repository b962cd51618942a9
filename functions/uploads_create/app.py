"""POST /uploads: a form with which a client uploads a CSV file of users."""

from flask import Flask
from msgspec import Struct

from decant.tasks.ids import uuid7
from decant.uploads import presigned_post
from decant.web import lambda_handler, limit_per_caller
from domain.imports import MAX_BYTES, key_of

app = Flask(__name__)


class UploadForm(Struct):
    """A form for one file.

    Attributes:
        url: Where to POST the form, as multipart/form-data.
        fields: Fields of the form, before the field `file`.
        task_id: Task that imports the file once it is uploaded.
    """

    url: str
    fields: dict[str, str]
    task_id: str


@app.post("/uploads")
@limit_per_caller
async def uploads_create() -> UploadForm:
    """Sign a form for a CSV file of at most 50 MB; its task imports the users."""
    task_id = str(uuid7())
    form = await presigned_post(key_of(task_id), content_type="text/csv", max_bytes=MAX_BYTES)
    return UploadForm(form.url, form.fields, task_id)


handler = lambda_handler(app)
