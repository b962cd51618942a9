"""Web pages and the local cloud: no page makes it run code, and AWS clients go on working."""

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode
from uuid import uuid4

import httpx
import pytest

from tests.e2e.running import QUICKLY, RunningCloud

SOURCE = """
import json, urllib.request

def handler(event, context):
    print("EXECUTED")
    body = json.dumps({"Status": "SUCCESS", "PhysicalResourceId": "x"}).encode()
    urllib.request.urlopen(urllib.request.Request(event["ResponseURL"], body, method="PUT"))
"""
"""Code of an attacker, which CloudFormation runs when the stack is created."""

ATTACKED_WITHIN_S = 60


class Attack:
    """A template with an inline custom resource, and how to find out whether its code ran.

    Attributes:
        stack: Name of the stack that the attack creates.
    """

    def __init__(self, local_cloud: RunningCloud) -> None:
        self._cloud = local_cloud
        self.stack = f"attack{uuid4().hex[:8]}"

    @property
    def template(self) -> str:
        """Template as JSON, short enough for a query."""
        function = {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "FunctionName": self.stack,
                "Runtime": "python3.13",
                "Handler": "index.handler",
                "Role": "arn:aws:iam::000000000000:role/r",
                "Code": {"ZipFile": SOURCE},
            },
        }
        custom = {"Type": "Custom::Run", "Properties": {"ServiceToken": {"Fn::GetAtt": ["F", "Arn"]}}}
        return json.dumps({"Resources": {"F": function, "Run": custom}}, separators=(",", ":"))

    @property
    def query(self) -> str:
        """Query string of the CreateStack request."""
        parameters = {"Action": "CreateStack", "Version": "2010-05-15", "StackName": self.stack}
        return urlencode({**parameters, "TemplateBody": self.template})

    def succeeded(self) -> bool:
        """The stack exists, or its code has run."""
        stacks = self._cloud.client("cloudformation").describe_stacks()["Stacks"]
        return bool(self._cloud.logs_of(self.stack)) or any(each["StackName"] == self.stack for each in stacks)


@pytest.fixture
def attack(local_cloud: RunningCloud) -> Iterator[Attack]:
    """An attack whose stack is deleted at the end."""
    made = Attack(local_cloud)
    yield made
    client = local_cloud.client("cloudformation")
    client.delete_stack(StackName=made.stack)
    client.get_waiter("stack_delete_complete").wait(StackName=made.stack, WaiterConfig=QUICKLY)


def test_signed_request_runs_the_code(local_cloud: RunningCloud, attack: Attack) -> None:
    """The same template of an AWS client is executed: the other tests here can fail."""
    client = local_cloud.client("cloudformation")

    client.create_stack(StackName=attack.stack, TemplateBody=attack.template)
    client.get_waiter("stack_create_complete").wait(StackName=attack.stack, WaiterConfig=QUICKLY)

    assert "EXECUTED" in [line.text for line in local_cloud.logs_of(attack.stack)]


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        pytest.param("/", {}, id="GET without Origin and Referer"),
        pytest.param("/", {"Sec-Fetch-Site": "cross-site"}, id="cross-site"),
        pytest.param("/", {"Host": "evil.example"}, id="rebound name"),
        pytest.param("/", {"Host": "x.execute-api.localhost.localstack.cloud"}, id="API that does not exist, by host"),
        pytest.param("/_aws/execute-api/none/local", {}, id="API that does not exist, by path"),
        pytest.param("/restapis/none/local/_user_request_/", {}, id="API that does not exist, by its older path"),
    ],
)
def test_unsigned_request_creates_no_stack(
    local_cloud: RunningCloud, attack: Attack, path: str, headers: Mapping[str, str]
) -> None:
    """CreateStack by GET is rejected, also on the path of a route."""
    response = httpx.get(f"{local_cloud.url}{path}?{attack.query}", headers=headers, timeout=60)

    assert response.status_code in {403, 404}
    assert not attack.succeeded()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        pytest.param("POST", "/2015-03-31/functions/{function}/invocations", id="invocation of a function"),
        pytest.param("GET", "/_aws/sqs/messages", id="page of the emulator"),
        pytest.param("POST", "/_localstack/health", id="stop of the emulator"),
    ],
)
def test_presigned_query_opens_nothing_but_s3(local_cloud: RunningCloud, method: str, path: str) -> None:
    """A query that looks presigned is rejected for other services and for the emulator's own pages."""
    path = path.format(function=local_cloud.function_name("AsyncResponse"))
    query = "X-Amz-Credential=test/20260101/us-east-1/s3/aws4_request&X-Amz-Signature=0"

    response = httpx.request(method, f"{local_cloud.url}{path}?{query}", json={}, timeout=60)

    assert response.status_code == 403


def test_presigned_url_works(local_cloud: RunningCloud) -> None:
    """A client without credentials stores and reads an object by presigned S3 URLs."""
    s3, bucket = local_cloud.client("s3"), f"presigned-{uuid4()}"
    s3.create_bucket(Bucket=bucket)
    put, get = (
        s3.generate_presigned_url(call, {"Bucket": bucket, "Key": "a/b"}) for call in ("put_object", "get_object")
    )

    stored = httpx.put(
        put, content=b"content", headers={"Content-Type": "application/x-www-form-urlencoded"}, timeout=60
    )

    assert stored.status_code == 200
    assert httpx.get(get, timeout=60).content == b"content"


ATTACKS = """
<!doctype html><title>attack</title><body><script>
const query = QUERY, reads = [];
const send = async (target) => {
  for (const mode of ["no-cors", "cors"]) {
    for (const method of ["GET", "POST"]) {
      const body = method == "POST" ? new URLSearchParams(query) : undefined;
      try {
        const response = await fetch(target + (body ? "/" : "/?" + query), {method, mode, body});
        if (response.type != "opaque") reads.push(target + " " + response.status);
      } catch (error) {}
    }
  }
  try { reads.push(target + " " + await (await fetch(target + "/_localstack/health")).text()); } catch (error) {}
  for (const tag of ["img", "iframe"]) {
    await new Promise(done => {
      const element = Object.assign(document.createElement(tag), {onload: done, onerror: done});
      element.referrerPolicy = "no-referrer";
      element.src = target + "/?" + query;
      document.body.append(element);
    });
  }
  await new Promise(done => {
    const frame = Object.assign(document.createElement("iframe"), {name: "f" + Math.random()});
    document.body.append(frame);
    const form = Object.assign(document.createElement("form"), {action: target, method: "post", target: frame.name});
    new URLSearchParams(query).forEach((value, name) => {
      form.append(Object.assign(document.createElement("input"), {name, value}));
    });
    document.body.append(form);
    frame.onload = done;
    form.submit();
  });
};
(async () => {
  for (const target of TARGETS) await send(target);
  await fetch("/done", {method: "POST", body: JSON.stringify(reads)});
})();
</script>
"""
"""Every way in which a page sends a request without a preflight; it reports the responses that it could read."""


class Page:
    """A web server with one page, which waits for the page's report.

    Attributes:
        port: TCP port on 127.0.0.1.
    """

    def __init__(self, html: str) -> None:
        done = threading.Event()
        reports: list[list[str]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(html.encode())

            def do_POST(self) -> None:
                reports.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(204)
                self.end_headers()
                done.set()

            def log_message(self, *_: Any) -> None:
                """Keep the output of the tests free of requests."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._done, self._reports = done, reports
        self.port = self._server.server_port

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def report(self) -> list[str]:
        """Responses that the page could read, once it has finished."""
        assert self._done.wait(ATTACKED_WITHIN_S), "The page has not finished."
        return self._reports[0]


@pytest.mark.chromium
@pytest.mark.parametrize("name", ["evil.example", "localhost.localstack.cloud", "127.0.0.1"])
def test_page_in_a_browser_runs_no_code(local_cloud: RunningCloud, attack: Attack, tmp_path: Path, name: str) -> None:
    """A page in Chromium neither creates a stack nor reads a response, by any name."""
    port = local_cloud.url.rpartition(":")[2]
    targets = [
        f"http://{target}:{port}"
        for target in (
            "127.0.0.1",
            "localhost.localstack.cloud",
            "x.execute-api.localhost.localstack.cloud",
            "evil.example",
        )
    ]
    html = ATTACKS.replace("QUERY", json.dumps(attack.query)).replace("TARGETS", json.dumps(targets))
    with Page(html) as page:
        options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}"]
        rules = "--host-resolver-rules=MAP evil.example 127.0.0.1, MAP *.localstack.cloud 127.0.0.1"
        with subprocess.Popen(
            [shutil.which("chromium") or "", *options, rules, f"http://{name}:{page.port}/"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as browser:
            try:
                read = page.report()
            finally:
                browser.terminate()

    assert not attack.succeeded()
    assert read == []
