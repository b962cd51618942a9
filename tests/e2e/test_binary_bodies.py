"""Bodies through the gateway of the local cloud, byte for byte."""

import hashlib
import json
from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest

from tests.bodies import ECHO, random_bodies
from tests.e2e.running import Create, RunningCloud

FUNCTIONS = "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions"


@pytest.fixture
def api(local_cloud: RunningCloud, create: Create, shared_layer: str) -> Iterator[httpx.Client]:
    """A client of an API with the binary media type `*/*`."""
    name = create(ECHO, Layers=[shared_layer], Environment={"Variables": {"STAGE": "local"}}, Timeout=60)
    uri = f"{FUNCTIONS}/arn:aws:lambda:us-east-1:000000000000:function:{name}/invocations"
    integration = {"type": "aws_proxy", "httpMethod": "POST", "uri": uri}
    path = {"x-amazon-apigateway-any-method": {"x-amazon-apigateway-integration": integration, "responses": {}}}
    document = {
        "openapi": "3.0.1",
        "info": {"title": f"binary-{uuid4()}", "version": "1"},
        "paths": {"/{path+}": path},
        "x-amazon-apigateway-binary-media-types": ["*/*"],
    }
    gateway = local_cloud.client("apigateway")
    made = gateway.import_rest_api(body=json.dumps(document).encode())
    gateway.create_deployment(restApiId=made["id"], stageName="test")
    with httpx.Client(base_url=f"{local_cloud.url}/_aws/execute-api/{made['id']}/test", timeout=60) as client:
        yield client
    gateway.delete_rest_api(restApiId=made["id"])


def test_random_bytes_pass_in_both_directions(api: httpx.Client) -> None:
    """256 strings of 256 bytes, of text and binary types."""
    for sent, kind in random_bodies():
        response = api.post("/echo", content=sent, headers={"Content-Type": kind, "Accept-Encoding": "identity"})

        assert response.headers["x-received"] == hashlib.sha256(sent).hexdigest()
        assert response.content == sent


@pytest.mark.parametrize(
    "body", ["déjà vu".encode(), b'{"a": 1}', bytes(range(256)) * 4096], ids=["text", "json", "1 MB"]
)
def test_text_and_large_bodies_pass(api: httpx.Client, body: bytes) -> None:
    """Text is not changed either."""
    response = api.post("/echo", content=body, headers={"Content-Type": "text/plain"})

    assert response.content == body


def test_deployed_api_passes_all_types_unchanged(local_cloud: RunningCloud) -> None:
    """The template of the bundle sets the type."""
    [made] = [
        api for api in local_cloud.client("apigateway").get_rest_apis()["items"] if api["id"] in local_cloud.api_url
    ]

    assert set(made["binaryMediaTypes"]) == {"*/*"}
