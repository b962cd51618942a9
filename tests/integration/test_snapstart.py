"""SnapStart: a process is forked where Lambda takes its snapshot, and each copy goes on as an environment does.

The process is a function's, started with Lambda's own image and layer; its hooks are run by AWS's runtime client.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from decant_cloud.local.cloud import LAYERS
from decant_cloud.local.layer import build_local
from tests.loading import ROOT
from tests.sample.bundle import sample_bundle
from tests.upstream import Upstream

IMAGE = ROOT / ".decant/lambda-image"

FETCH = """
import os
from flask import Flask
from decant import http
from decant.web import lambda_handler

app = Flask(__name__)

@app.get("/hello")
async def fetch():
    return await http.get_json(os.environ["UPSTREAM_URL"])

handler = lambda_handler(app)
"""

SNAPSHOT = """
import json, os, random, sys, tempfile
from contextlib import redirect_stdout

with redirect_stdout(sys.stderr):  # the function's log
    {start}
    from awslambdaric import lambda_runtime_hooks_runner as hooks
    hooks.run_before_snapshot()
sockets = [each for each in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{{each}}")]
sockets = [each for each in sockets if os.readlink(f"/proc/self/fd/{{each}}").startswith("socket:")]

def environment(number):
    os.environ["AWS_ACCESS_KEY_ID"] = f"key-{{number}}"
    hooks.run_after_restore()
    {request}

copies = []
for number in range(2):
    with tempfile.TemporaryFile("w+") as file:
        if (pid := os.fork()) == 0:
            with redirect_stdout(sys.stderr):
                found = environment(number)
            json.dump(found, file)
            file.flush()
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        file.seek(0)
        copies.append(json.load(file))
print(json.dumps({{"sockets": len(sockets), "copies": copies, "modules": sorted(sys.modules)}}))
"""


@pytest.fixture(scope="module")
def layer() -> Path:
    """The layer, as the local cloud has it."""
    return build_local(LAYERS)["SharedLayer"]


def snapshot(layer: Path, function: str | Path, start: str, request: str, **variables: str) -> dict[str, Any]:
    """Run `start` in a function's folder, take a snapshot, and run `request` in two copies of it.

    Args:
        layer: Folder of the layer.
        function: A function of the sample bundle, or a folder with one: the working directory.
        start: Code of the start.
        request: Body of a function of the copy's `number`; what it returns is the copy's entry in `copies`.
        variables: Of the environment.
    """
    code = SNAPSHOT.format(start=start, request=request)
    path = f"{layer / 'python'}:{next(IMAGE.glob('lib/python*/site-packages'))}"
    environment = {"PYTHONPATH": path, "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start", **variables}
    finished = subprocess.run(
        [IMAGE / "bin/python", "-c", code],
        cwd=sample_bundle() / "functions" / function,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    found: dict[str, Any] = json.loads(finished.stdout)
    return found


def event(name: str) -> str:
    """An event as a Python literal."""
    return repr(json.loads((sample_bundle() / f"events/{name}.json").read_text()))


def test_snapshot_holds_no_connection(layer: Path, database_url: str) -> None:
    """A function that has used the database at its start has closed it, and the loop's own pipe."""
    use = "async with db.session() as session: await session.execute(text('SELECT 1'))"
    start = f"""
    import app
    from decant import db, loop
    from sqlalchemy import text
    async def use():
        {use}
    loop.run(use())
    """

    found = snapshot(layer, "users_get", start, "return None", DATABASE_URL=database_url)

    assert found["sockets"] == 0


def test_copies_answer_requests_over_connections_of_their_own(layer: Path, database_url: str) -> None:
    """Each copy of a function that has used the database builds its own engine and loop."""
    start = f"""
    import app
    app.handler({event("users_get")}, None)
    """
    request = f"return app.handler({event('users_get')}, None)['statusCode']"

    found = snapshot(layer, "users_get", start, request, DATABASE_URL=database_url)

    assert found["copies"] == [200, 200]


def test_copies_ask_other_services_over_connections_of_their_own(layer: Path, tmp_path: Path) -> None:
    """The HTTP client is closed before the snapshot, too."""
    (tmp_path / "app.py").write_text(FETCH)
    with Upstream() as upstream:
        start = f"""
    import app
    assert app.handler({event("hello")}, None)['statusCode'] == 200
    """
        request = f"return app.handler({event('hello')}, None)['statusCode']"

        found = snapshot(layer, tmp_path, start, request, UPSTREAM_URL=f"{upstream.url}/1")

    assert found["sockets"] == 0
    assert found["copies"] == [200, 200]


def test_copies_have_random_numbers_of_their_own(layer: Path) -> None:
    """Two copies of one generator would draw the same numbers."""
    found = snapshot(layer, "hello", "import app; random.seed(1)", "return random.random()")

    first, second = found["copies"]
    assert first != second


def test_copies_sign_with_credentials_of_their_own(layer: Path) -> None:
    """Values of the environment from before the snapshot are not used."""
    start = """
    import app
    from decant import loop
    from decant._aws.sigv4 import credentials
    loop.run(credentials())
    """
    request = "return loop.run(credentials()).access_key"

    found = snapshot(layer, "hello", start, request, AWS_ACCESS_KEY_ID="of-the-snapshot", AWS_SECRET_ACCESS_KEY="x")

    assert found["copies"] == ["key-0", "key-1"]


def test_copies_have_a_loop_of_their_own(layer: Path) -> None:
    """What was due by the clock of the snapshot is not done late, at the first request of every copy."""
    start = """
    import app
    from decant import loop
    before = loop.current()
    """

    found = snapshot(layer, "hello", start, "return [before.is_closed(), loop.current() is before]")

    assert found["copies"] == [[True, False], [True, False]]


def test_snapshot_holds_what_requests_would_import(layer: Path, database_url: str) -> None:
    """The driver and the log's format are imported before the snapshot, not by the first request of each copy."""
    found = snapshot(layer, "users_get", "import app", "return None", DATABASE_URL=database_url)

    assert {"asyncpg", "aws_lambda_powertools.logging.formatter"} <= set(found["modules"])


def test_start_without_a_snapshot_registers_nothing(layer: Path, database_url: str) -> None:
    """Elsewhere than under SnapStart, a start imports and does none of this."""
    found = snapshot(
        layer,
        "users_get",
        "import app",
        "return None",
        DATABASE_URL=database_url,
        AWS_LAMBDA_INITIALIZATION_TYPE="on-demand",
    )

    assert "asyncpg" not in found["modules"]


def test_snapshot_is_refused_for_a_bad_setting(layer: Path) -> None:
    """A version that could not answer is not published."""
    with pytest.raises(AssertionError, match="DATABASE_URL"):
        snapshot(layer, "users_get", "import app", "return None", DATABASE_URL="mysql://nowhere")
