"""Uploads to the bucket of the local cloud, and their tasks."""

import time
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.e2e.running import RunningCloud

LIMIT_S = 120


@pytest.fixture(scope="module")
def api(local_cloud: RunningCloud) -> Any:
    """An HTTP client of the API."""
    with httpx.Client(base_url=local_cloud.api_url, timeout=LIMIT_S) as client:
        yield client


def upload(form: Any, content: bytes, **changes: str) -> httpx.Response:
    """Send the form with a file, and with other fields."""
    files = {"file": ("users.csv", content, "text/csv")}
    return httpx.post(form["url"], data=form["fields"] | changes, files=files, timeout=LIMIT_S)


def test_uploaded_file_is_imported(api: httpx.Client) -> None:
    """The bucket's event starts the task that the form named."""
    unique = uuid4()
    form = api.post("/uploads").json()
    content = f"name,email\nAda,ada-{unique}@example.com\nno address\nGrace,grace-{unique}@example.com\n".encode()

    assert upload(form, content).is_success
    deadline = time.monotonic() + LIMIT_S
    while (status := api.get(f"/tasks/{form['task_id']}")).status_code == 404 or not status.json()["date_done"]:
        assert time.monotonic() < deadline

    result = status.json()["result"]
    assert (result["lines"], result["created"], result["invalid"]) == (4, 2, 1)
    assert [each["line"] for each in result["errors"]] == [3]


@pytest.mark.parametrize(
    ("content", "changes"),
    [
        pytest.param(b"", {}, id="empty file"),
        pytest.param(b"a", {"Content-Type": "text/html"}, id="another type"),
        pytest.param(b"a", {"key": "imports/other.csv"}, id="another name"),
    ],
)
def test_file_that_the_form_does_not_allow_is_rejected(
    api: httpx.Client, content: bytes, changes: dict[str, str]
) -> None:
    """S3 checks the policy that the function signed."""
    assert upload(api.post("/uploads").json(), content, **changes).is_error
