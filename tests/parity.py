"""Compare an application's responses under Flask's own server with those of its functions."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import httpx

from decant_cloud.local.postgres import free_port
from tests.loading import PYTHONPATH

__all__ = ["Session", "facts", "flask_server", "gateway", "pour", "serving"]

type Session = Callable[[httpx.Client], list[httpx.Response]]

COMPARED = (
    "access-control-allow-origin", "access-control-expose-headers", "allow", "cache-control", "content-language",
    "content-type", "etag", "location", "vary", "www-authenticate", "x-pagination", "x-version",
)  # fmt: skip
"""Headers that the application decides on."""

VARYING = re.compile(
    r'(?<=name="csrf_token" type="hidden" value=")[^"]+|(?<=csrf_token value=")[^"]+|https?://127\.0\.0\.1:\d+'
    r'|(?<=^")\d+\.\d+-\d+-\d+(?="$)'
)
"""Parts of a body or header that differ between two runs under the same server; the last is a static file's entity tag,
which Flask computes from the path and the time of the file."""


def facts(response: httpx.Response) -> dict[str, Any]:
    """What is compared of a response."""
    headers = {name: VARYING.sub("…", response.headers[name]) for name in COMPARED if name in response.headers}
    if "allow" in headers:
        headers["allow"] = ", ".join(sorted(headers["allow"].split(", ")))  # Werkzeug has them in a set
    cookies = [re.sub("=[^;]*", "", each) for each in response.headers.get_list("set-cookie")]
    request = f"{response.request.method} {response.request.url.raw_path.decode()}"
    body = VARYING.sub("…", response.text)
    return {"request": request, "status": response.status_code, "headers": headers, "cookies": cookies, "body": body}


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
        process.wait(10)


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
