"""The documentation site: `make site` builds it without a warning, and its pages fit into wide and narrow windows."""

import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.e2e.browser import open_page
from tests.loading import ROOT

SITE = ROOT / ".decant/pages"
DESKTOP, PHONE = 1300, 390
"""Widths of a window, CSS pixels."""

pytestmark = [pytest.mark.long, pytest.mark.chromium]


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files without a log line for each."""

    def log_message(self, *_arguments: object) -> None:
        """Log nothing."""


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """Address of the site, built anew."""
    built = subprocess.run(["make", "site"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(SITE))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_pages_load_nothing_else_and_fit_into_their_windows(site: str, tmp_path: Path) -> None:
    """No page reports an error, requests another host or is wider than a desktop's or a phone's window."""
    pages = sorted(page.relative_to(SITE).as_posix() for page in SITE.rglob("*.html") if page.name != "404.html")
    too_wide = []

    with open_page(f"{site}/index.html", tmp_path) as page:
        for width in (DESKTOP, PHONE):
            page.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
            for path in pages:
                page.call("Page.navigate", url=f"{site}/{path}")
                page.wait_for(f"location.pathname === '/{path}' && document.readyState === 'complete'")
                needed = page.evaluate("document.documentElement.scrollWidth")
                too_wide += [f"{path} at {width}: {needed}"] if needed > width else []

    assert len(pages) > 20
    assert too_wide == []
    assert page.errors == []
    assert [url for url in page.requests if not url.startswith((site, "data:"))] == []
