"""A page in headless Chromium, driven over the Chrome DevTools Protocol."""

import itertools
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, Ping, Request, TextMessage

__all__ = ["Page", "click", "confirm", "key", "open_page", "open_view", "shows", "wait_until"]

_TIMEOUT_S = 60


class Page:
    """A page, and what it has requested and reported.

    Attributes:
        requests: URLs of all requests.
        errors: Errors of the console and of scripts.
    """

    def __init__(self, address: str) -> None:
        url = urlsplit(address)
        self.requests: list[str] = []
        self.errors: list[str] = []
        self._socket = socket.create_connection((url.hostname or "", url.port or 0), timeout=_TIMEOUT_S)
        self._protocol = WSConnection(ConnectionType.CLIENT)
        self._socket.sendall(self._protocol.send(Request(host=url.netloc, target=url.path)))
        self._protocol.receive_data(self._socket.recv(65_536))
        assert isinstance(next(self._protocol.events()), AcceptConnection)
        self._messages = self._receive()
        self._ids = itertools.count(1)

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def call(self, method: str, **parameters: Any) -> Any:
        """Call a method of the protocol; returns its result."""
        number = next(self._ids)
        message = json.dumps({"id": number, "method": method, "params": parameters})
        self._socket.sendall(self._protocol.send(TextMessage(message)))
        for received in self._messages:
            if received.get("id") == number:
                assert "error" not in received, received
                return received["result"]
            self._record(received["method"], received["params"])
        raise AssertionError("The browser closed the connection.")

    def evaluate(self, script: str) -> Any:
        """Run JavaScript; returns the value, also of a promise."""
        result = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait_for(self, script: str) -> Any:
        """Run JavaScript until its value is true; returns the value."""
        return wait_until(lambda: self.evaluate(script))

    def _record(self, method: str, event: dict[str, Any]) -> None:
        if method == "Network.requestWillBeSent":
            self.requests.append(event["request"]["url"])
        elif method == "Runtime.exceptionThrown" or (method == "Log.entryAdded" and event["entry"]["level"] == "error"):
            self.errors.append(json.dumps(event))
        elif method == "Runtime.consoleAPICalled" and event["type"] == "error":
            self.errors.append(json.dumps(event["args"]))

    def _receive(self) -> Iterator[dict[str, Any]]:
        text = ""
        while data := self._socket.recv(65_536):
            self._protocol.receive_data(data)
            for event in self._protocol.events():
                if isinstance(event, Ping):
                    self._socket.sendall(self._protocol.send(event.response()))
                elif isinstance(event, TextMessage):
                    text += event.data
                    if event.message_finished:
                        yield json.loads(text)
                        text = ""


@contextmanager
def open_page(url: str, folder: Path) -> Iterator[Page]:
    """Open a URL in a new Chromium, which ends with the block.

    Args:
        url: Address of the page.
        folder: Empty folder for the browser's data.
    """
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", f"--user-data-dir={folder}"]
    command = [shutil.which("chromium") or "", *options, "about:blank"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as browser:
        try:
            ready = folder / "DevToolsActivePort"
            wait_until(lambda: ready.exists() and ready.read_text().count("\n"))
            targets = httpx.get(f"http://127.0.0.1:{ready.read_text().splitlines()[0]}/json").json()
            page = Page(next(each["webSocketDebuggerUrl"] for each in targets if each["type"] == "page"))
            try:
                for domain in ("Network", "Runtime", "Log", "Page"):
                    page.call(f"{domain}.enable")
                page.call("Page.navigate", url=url)
                yield page
            finally:
                page.close()
        finally:
            browser.terminate()


def wait_until(condition: Callable[[], Any]) -> Any:
    """Wait until a condition is true; returns its value."""
    ends_at = time.monotonic() + _TIMEOUT_S
    while not (found := condition()):
        assert time.monotonic() < ends_at, "The page is not as expected."
        time.sleep(0.05)
    return found


def open_view(page: Page, view: str, **parameters: object) -> None:
    """Open a view, and wait until it is loaded."""
    query = "&".join(f"{name}={value}" for name, value in {"view": view, **parameters}.items())
    page.evaluate(f"(history.pushState(null, '', '?{query}'), dispatchEvent(new PopStateEvent('popstate')), 0)")
    page.wait_for("!document.querySelector('.loading') && !!document.querySelector('main h1')")


def click(page: Page, text: str, scope: str = "main") -> None:
    """Click on the button or the link with this text or label."""
    found = (
        f"[...document.querySelectorAll({json.dumps(f'{scope} :is(a, button)')})].find(each => "
        f"[each.textContent.trim(), each.ariaLabel].includes({json.dumps(text)}) && !each.disabled)"
    )
    page.wait_for(f"!!({found})")
    page.evaluate(f"({found}).click()")


def confirm(page: Page, verb: str, count: str) -> None:
    """Confirm an action on so many tasks."""
    page.wait_for(f"document.querySelector('dialog .count')?.textContent === {json.dumps(count)}")
    click(page, verb, "dialog")
    page.wait_for("!document.querySelector('dialog')")


def shows(page: Page, text: str) -> None:
    """Wait until the page contains a text."""
    page.wait_for(f"document.body?.innerText.includes({json.dumps(text)})")


def key(page: Page, name: str) -> None:
    """Press a key."""
    page.call("Input.dispatchKeyEvent", type="keyDown", key=name, text=name)
    page.call("Input.dispatchKeyEvent", type="keyUp", key=name)
