"""Compare an application's responses under Flask's own server with those of its functions."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from decant_cloud.local.postgres import free_port
from tests.loading import PYTHONPATH

__all__ = ["Session", "facts", "flask_server", "flaskr", "gateway", "pour", "run_flask", "serving"]

type Session = Callable[[httpx.Client], list[httpx.Response]]

COMPARED = (
    "access-control-allow-origin", "access-control-expose-headers", "allow", "cache-control", "content-language",
    "content-type", "etag", "location", "vary", "www-authenticate", "x-pagination", "x-version",
)  # fmt: skip
"""Headers that the application decides on."""

VARYING = re.compile(
    r'(?<=name="csrf_token" type="hidden" value=")[^"]+|(?<=csrf_token value=")[^"]+|https?://127\.0\.0\.1:\d+'
    r'|(?<=^")\d+\.\d+-\d+-\d+(-gzip)?(?="$)'
)
"""Parts of a body or header that differ between two runs under the same server; the last is a static file's entity tag,
which Flask computes from the path and the time of the file."""


def facts(response: httpx.Response, varying: Sequence[str] = ()) -> dict[str, Any]:
    """What is compared of a response, without the path at which the API is and without the effects of compression.

    Args:
        response: Response to a request of a client in the local cloud or of another server.
        varying: More patterns of parts that differ between two runs.
    """
    headers = {name: VARYING.sub("…", response.headers[name]) for name in COMPARED if name in response.headers}
    if "allow" in headers:
        headers["allow"] = ", ".join(sorted(headers["allow"].split(", ")))  # Werkzeug has them in a set
    if vary := [each for each in headers.pop("vary", "").split(", ") if each not in {"", "Accept-Encoding"}]:
        headers["vary"] = ", ".join(vary)
    cookies = [re.sub("=[^;]*", "", each) for each in response.headers.get_list("set-cookie")]
    request = f"{response.request.method} {response.request.url.raw_path.decode()}"
    body = VARYING.sub("…", response.text)
    found = {"request": request, "status": response.status_code, "headers": headers, "cookies": cookies, "body": body}
    text = json.dumps(found)
    if at := re.match("/_aws/execute-api/[^/]+/[^/]+", response.request.url.path):
        text = text.replace(at[0], "").replace(quote(at[0], safe=""), "")
    for pattern in varying:
        text = re.sub(pattern, "…", text)
    return dict(json.loads(text))


@contextmanager
def serving(command: list[str], folder: Path, variables: Mapping[str, str]) -> Iterator[httpx.Client]:
    """A client of a server that runs while the block does; `PORT` in the command is replaced."""
    port = free_port()
    environment = {**os.environ, **variables}
    process = subprocess.Popen([part.replace("PORT", str(port)) for part in command], cwd=folder, env=environment)
    try:
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None
            time.sleep(0.05)
        referer = f"https://127.0.0.1:{port}/"  # which Flask-WTF requires over HTTPS
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"Referer": referer}, timeout=120) as client:
            yield client
    finally:
        process.terminate()
        process.wait(60)


def flask_server(target: str, folder: Path, variables: Mapping[str, str]) -> AbstractContextManager[httpx.Client]:
    """A client of the application under Flask's own server; a context manager."""
    return serving([sys.executable, "-m", "flask", "--app", target, "run", "--port", "PORT"], folder, variables)


def gateway(bundle: Path, variables: Mapping[str, str]) -> AbstractContextManager[httpx.Client]:
    """A client of the functions of a bundle behind `tests.gateway`; a context manager."""
    command = [sys.executable, "-m", "tests.gateway", str(bundle), "PORT"]
    return serving(command, bundle, {**variables, "PYTHONPATH": PYTHONPATH})


def pour(bundle: Path, application: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run `decant pour` in a bundle with the packages of this environment."""
    command = [sys.executable, "-m", "decant_cloud", "pour", str(application), "--python", sys.executable, *options]
    environment = {**os.environ, "DECANT_BUNDLE": str(bundle), "PYTHONPATH": PYTHONPATH}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def run_flask(target: str, folder: Path, *command: str, **variables: str) -> None:
    """Run a command of an application's CLI."""
    flask = [sys.executable, "-m", "flask", "--app", target, *command]
    subprocess.run(flask, cwd=folder, env=os.environ | variables, check=True)


def flaskr(client: httpx.Client) -> list[httpx.Response]:
    """Register, log in, write, change and delete a post, and read what others may not change."""
    ada, eve = {"username": "ada", "password": "a"}, {"username": "eve", "password": "e"}
    return [
        client.get("/"),
        client.get("/hello"),
        client.get("/create"),
        client.get("/auth/register"),
        client.post("/auth/register", data={"username": "", "password": "a"}),
        client.post("/auth/register", data=ada),
        client.post("/auth/register", data=ada),
        client.post("/auth/login", data=ada | {"password": "wrong"}),
        client.post("/auth/login", data=ada),
        client.get("/"),
        client.post("/create", data={"title": "", "body": "x"}),
        client.post("/create", data={"title": "<b>One</b>", "body": "é\n"}),
        client.get("/1/update"),
        client.post("/1/update", data={"title": "Two", "body": ""}),
        client.get("/"),
        client.get("/auth/logout"),
        client.post("/auth/register", data=eve),
        client.post("/auth/login", data=eve),
        client.get("/"),
        client.get("/1/update"),
        client.post("/1/delete"),
        client.get("/9/update"),
        client.put("/create"),
        client.get("/auth/logout"),
        client.post("/auth/login", data=ada),
        client.post("/1/delete"),
        client.get("/"),
        client.get("/static/style.css"),
        client.head("/static/style.css"),
        client.get("/nothing"),
    ]
