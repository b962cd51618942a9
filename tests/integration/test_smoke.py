"""The look at a deployed stage, over real HTTP: a stage that works, that does not, and that is not there."""

import json
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from moto import mock_aws

from decant_cloud.release.smoke import requests, run
from tests.sample.bundle import sample_bundle

RIGHT = {
    "GET /dev/hello": (200, "{}"),
    "GET /dev/rates": (200, "{}"),
    "GET /dev/queues": (200, "{}"),
    "GET /dev/users/1": (404, "{}"),
    "GET /dev/tasks": (200, "{}"),
    "GET /dev/console": (200, "{}"),
    "GET /dev/docs": (200, "{}"),
    "GET /dev/openapi.json": (200, "{}"),
}
"""What a stage answers that works, by the beginning of what it is asked."""


TEST = '''
"""Smoke tests of the bundle."""


def test_user_is_not_found(stage):
    """A user that does not exist is looked up in the database."""
    assert stage.get("users/1").status_code == 404
'''


class Stage(ThreadingHTTPServer):
    """Answers as a deployed stage would.

    Attributes:
        url: Its address.
        answers: Status and body, by the beginning of the request.
        keys: The API keys that it was shown.
        tokens: The Authorization headers that it was shown.
        headers: Headers of every response.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/dev"
        self.answers = dict(RIGHT)
        self.keys: set[str | None] = set()
        self.tokens: set[str | None] = set()
        self.headers: dict[str, str] = {}

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one request, after reading all of it."""
        self.keys.add(request.headers.get("x-api-key"))
        self.tokens.add(request.headers.get("Authorization"))
        request.rfile.read(int(request.headers.get("Content-Length", 0)))
        asked = f"{request.command} {request.path}"
        status, body = next(answer for known, answer in self.answers.items() if asked.startswith(known))
        request.send_response(status)
        for name, value in self.headers.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body.encode())


class Handler(BaseHTTPRequestHandler):
    """One request to a stage."""

    server: Stage

    def do_GET(self) -> None:
        """Let the stage answer."""
        self.server.answer(self)

    def do_POST(self) -> None:
        """Let the stage answer."""
        self.server.answer(self)

    def log_message(self, *_arguments: object) -> None:
        """Log nothing."""


@pytest.fixture
def stage() -> Iterator[Stage]:
    """A stage where everything works."""
    with Stage() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def found(url: str) -> list[str]:
    """What is wrong with the routes of a stage."""
    with httpx.Client(base_url=url, timeout=60) as client:
        return list(requests(client, ["/hello", "/rates"]))


@pytest.fixture
def smoke(tmp_path: Path, use_bundle: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs the command in a bundle with smoke tests of its own; returns its exit status."""
    bundle = tmp_path / "bundle"
    shutil.copytree(sample_bundle(), bundle)
    (bundle / "tests/smoke").mkdir()
    (bundle / "tests/smoke/test_users.py").write_text(TEST)
    monkeypatch.setenv("PYTEST_PLUGINS", "decant_cloud.pytest_plugin")  # the wheel registers it
    use_bundle(bundle)

    def run_command(*, url: str | None = None, stack: str | None = None, token: str | None = None) -> int:
        return run(state=tmp_path, stage="dev", stack=stack, url=url, token=token)

    return run_command


def test_smoke_finds_nothing_wrong_with_routes_that_respond(stage: Stage) -> None:
    """A status below 500 is a response: the route may require a token, or parameters."""
    stage.answers["GET /dev/rates"] = (401, "{}")

    assert found(stage.url) == []


def test_smoke_names_the_route_that_fails(stage: Stage) -> None:
    """One line contains the request and the response; the other routes are requested all the same."""
    stage.answers["GET /dev/hello"] = (502, '{"message": "Internal server error"}')

    assert found(stage.url) == ['GET /hello responded with 502: {"message": "Internal server error"}']


def test_smoke_reports_that_nobody_responds() -> None:
    """Each route is named, with the reason."""
    lines = found("http://127.0.0.1:1")

    assert len(lines) == 2
    assert all(re.match(r"GET /\S+ got no response: ConnectError", line) for line in lines)


@pytest.mark.long
def test_smoke_succeeds_with_a_stage_that_works(
    stage: Stage, smoke: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    """The pipeline continues; the tests of the bundle were run with the stage."""
    status = smoke(url=stage.url)

    out, err = capfd.readouterr()
    assert (status, err) == (0, "")
    assert re.search(r"GET routes respond \(\d\)\n", out)
    assert "1 passed" in out


def test_smoke_fails_with_a_test_of_the_bundle(stage: Stage, smoke: Callable[..., int]) -> None:
    """What is particular to the bundle is tested in `tests/smoke/`."""
    stage.answers["GET /dev/users/1"] = (200, "{}")

    assert smoke(url=stage.url) == 1


def test_smoke_fails_with_a_route_that_fails(
    stage: Stage, smoke: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    """The pipeline restores the previous versions."""
    stage.answers["GET /dev/hello"] = (500, "oops")

    assert smoke(url=stage.url) == 1
    assert capfd.readouterr().err == "error: GET /hello responded with 500: oops\n"


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """CloudFormation in memory."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    with mock_aws():
        yield boto3.client("cloudformation")


def test_smoke_reads_address_and_key_of_the_stack(
    account: Any, stage: Stage, smoke: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    """They are outputs; a stack without the function that runs a task through the queue fails."""
    key = boto3.client("apigateway").create_api_key(name="first", value="a-key-of-twenty-signs", enabled=True)
    outputs = {"ApiUrl": {"Value": stage.url}, "ApiKeyId": {"Value": key["id"]}}
    template = {"Resources": {"T": {"Type": "AWS::SNS::Topic"}}, "Outputs": outputs}
    account.create_stack(StackName="decant-dev", TemplateBody=json.dumps(template))

    assert smoke(stack="decant-dev") == 1
    assert capfd.readouterr().err == "error: the stack decant-dev has no TaskSweeper\n"
    assert stage.keys == {"a-key-of-twenty-signs"}


@pytest.mark.usefixtures("account")
def test_smoke_tells_a_stack_that_is_not_there_from_one_that_is_broken(
    smoke: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """A slip of the pen in the name is no fault of the stage."""
    status = smoke(stack="decant-prud")

    assert status == 1
    assert re.match(
        "error: the address of the stage dev is not known: .*decant-prud does not exist", capsys.readouterr().err
    )


def test_smoke_checks_that_a_stage_with_tokens_rejects_callers_without(
    stage: Stage, smoke: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a token of its issuer, the rejection is all that can be checked, and the output states it."""
    stage.answers = {"GET /dev/": (401, '{"message": "Unauthorized"}')}
    stage.headers = {"WWW-Authenticate": "Bearer"}

    status = smoke(url=stage.url)

    assert status == 0
    assert capsys.readouterr().out.startswith("API rejects callers without a token; set SMOKE_TOKEN")


@pytest.mark.long
def test_smoke_calls_a_stage_with_the_token_that_is_set(stage: Stage, smoke: Callable[..., int]) -> None:
    """With SMOKE_TOKEN, every part is checked."""
    assert smoke(url=stage.url, token="a.b.c") == 0
    assert stage.tokens == {"Bearer a.b.c"}
