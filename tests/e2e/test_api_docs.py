"""The page of the API's documentation, in Chromium on the local cloud."""

import json
from pathlib import Path
from uuid import uuid4

import pytest

from tests.e2e.browser import open_page
from tests.e2e.running import RunningCloud
from tests.loading import ROOT

OPERATIONS = (
    "[...document.querySelectorAll('.opblock-summary-path')].map(each => each.textContent.replaceAll('\\u200b', ''))"
)
TRY_IT = """
    (async () => {
        const later = () => new Promise(done => setTimeout(done, 100));
        const until = async find => { let found; while (!(found = find())) await later(); return found; };
        const block = await until(() => document.querySelector('#operations-users-users_create'));
        block.querySelector('.opblock-summary-control').click();
        const text = await until(() => block.querySelector('textarea'));
        const set = Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, 'value').set;
        set.call(text, JSON.stringify(BODY));
        text.dispatchEvent(new Event('change', {bubbles: true}));
        (await until(() => block.querySelector('.btn.execute'))).click();
        const status = await until(() => block.querySelector('.live-responses-table tbody .response-col_status'));
        return status.textContent;
    })()
"""


@pytest.mark.chromium
def test_page_lists_all_routes_and_sends_requests(local_cloud: RunningCloud, tmp_path: Path) -> None:
    """It loads nothing from other hosts, reports no errors, and "try it" creates a user."""
    paths = json.loads((ROOT / "functions/api_docs/openapi.json").read_text())["paths"]
    body = {"name": "Ada Lovelace", "email": f"ada-{uuid4().hex}@example.com"}

    with open_page(f"{local_cloud.api_url}/docs", tmp_path) as page:
        page.wait_for(f"{OPERATIONS}.length > 0")
        listed = page.evaluate(OPERATIONS)
        status = page.evaluate(TRY_IT.replace("BODY", json.dumps(body)))

    assert sorted(listed) == sorted(path for path, operations in paths.items() for _ in operations)
    assert status.strip().startswith("201")
    assert page.errors == []
    assert [url for url in page.requests if not url.startswith((local_cloud.url, "data:"))] == []
