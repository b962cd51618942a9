"""The look at a deployed stage, over real HTTP: a stage that works, that does not, and that is not there."""

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import httpx
import pytest
from moto import mock_aws

from decant_cloud.release.smoke import faults, run

RIGHT = {
    "GET /dev/async": (200, "Async Response"),
    "GET /dev/users/": (404, "{}"),
    "POST /dev/start-task": (202, '{"task_id": "7"}'),
    "GET /dev/tasks/7": (200, '{"state": "SUCCESS"}'),
}
"""What a stage answers that works, by the beginning of what it is asked."""


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
        """Say nothing."""


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
    """What is wrong with a stage."""
    with httpx.Client(base_url=url) as client:
        return list(faults(client, task_within_s=0.3))


def smoke(*, url: str | None = None, stack: str | None = None, token: str | None = None) -> int:
    """Run the command; its exit status."""
    return run(stage="dev", stack=stack, url=url, token=token)


def test_smoke_finds_nothing_wrong_with_a_stage_that_works(stage: Stage) -> None:
    """Every part has answered as it should."""
    assert found(stage.url) == []


@pytest.mark.parametrize(
    ("asked", "answer", "expected"),
    [
        pytest.param(
            "GET /dev/async",
            (502, '{"message": "Internal server error"}'),
            r"GET /async\?seconds=0 answered 502 and not 200: .*Internal server error",
            id="no function",
        ),
        pytest.param(
            "GET /dev/users/", (503, "The database"), r"GET /users/[0-9a-f-]{36} answered 503 and not 404", id="no rows"
        ),
        pytest.param("POST /dev/start-task", (403, "Forbidden"), "POST /start-task answered 403", id="no key"),
        pytest.param(
            "POST /dev/start-task", (202, "[]"), r"/dev/start-task answered without task_id: \[\]", id="other"
        ),
        pytest.param("GET /dev/tasks/7", (200, "<html>"), "/dev/tasks/7 answered without state", id="a page"),
        pytest.param("GET /dev/tasks/7", (404, "{}"), "GET /tasks/7 answered 404 and not 200", id="a row that is gone"),
        pytest.param(
            "GET /dev/tasks/7", (200, '{"state": "FAILURE"}'), "task 7 ended as FAILURE", id="a worker that fails"
        ),
        pytest.param(
            "GET /dev/tasks/7",
            (200, '{"state": "PENDING"}'),
            r"task 7 is still PENDING after 0\.3 s",
            id="no worker",
        ),
    ],
)
def test_smoke_names_the_part_that_does_not_work(
    stage: Stage, asked: str, answer: tuple[int, str], expected: str
) -> None:
    """One line says what was asked, what came, and what should have; the other parts are looked at all the same."""
    stage.answers[asked] = answer

    [line] = found(stage.url)

    assert re.match(expected, line)


def test_smoke_says_so_when_nobody_answers() -> None:
    """Each part is named, with the reason."""
    lines = found("http://127.0.0.1:1")

    assert len(lines) == 3
    assert all(re.match(r"(GET|POST) /\S+ got no answer: ConnectError", line) for line in lines)


def test_smoke_succeeds_with_a_stage_that_works(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """The pipeline goes on."""
    status = smoke(url=stage.url)

    assert (status, *capsys.readouterr()) == (0, "API, database, queue and worker answer\n", "")


def test_smoke_fails_with_a_stage_that_does_not_work(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """The pipeline puts the versions before back."""
    stage.answers["GET /dev/async"] = (500, "oops")

    status = smoke(url=stage.url)

    expected = "error: GET /async?seconds=0 answered 500 and not 200: oops\n"
    assert (status, *capsys.readouterr()) == (1, "", expected)


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """CloudFormation in memory."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    with mock_aws():
        yield boto3.client("cloudformation")


def test_smoke_asks_the_stack_where_it_answers(account: Any, stage: Stage) -> None:
    """Address and API key are the stack's outputs."""
    key = boto3.client("apigateway").create_api_key(name="first", value="a-key-of-twenty-signs", enabled=True)
    outputs = {"ApiUrl": {"Value": stage.url}, "ApiKeyId": {"Value": key["id"]}}
    template = {"Resources": {"T": {"Type": "AWS::SNS::Topic"}}, "Outputs": outputs}
    account.create_stack(StackName="decant-dev", TemplateBody=json.dumps(template))

    assert smoke(stack="decant-dev") == 0
    assert stage.keys == {"a-key-of-twenty-signs"}


@pytest.mark.usefixtures("account")
def test_smoke_tells_a_stack_that_is_not_there_from_one_that_is_broken(capsys: pytest.CaptureFixture[str]) -> None:
    """A slip of the pen in the name is no fault of the stage."""
    status = smoke(stack="decant-prud")

    assert status == 1
    assert re.match(
        "error: the address of the stack decant-prud is not known: .*does not exist", capsys.readouterr().err
    )


def test_smoke_checks_that_a_stage_with_tokens_rejects_callers_without(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a token of its issuer, the rejection is all that can be checked, and the output says so."""
    stage.answers = {"GET /dev/async": (401, '{"message": "Unauthorized"}')}
    stage.headers = {"WWW-Authenticate": "Bearer"}

    status = smoke(url=stage.url)

    assert status == 0
    assert capsys.readouterr().out.startswith("API rejects callers without a token; set SMOKE_TOKEN")


def test_smoke_calls_a_stage_with_the_token_that_is_set(stage: Stage) -> None:
    """With SMOKE_TOKEN, every part is checked."""
    assert smoke(url=stage.url, token="a.b.c") == 0
    assert stage.tokens == {"Bearer a.b.c"}
