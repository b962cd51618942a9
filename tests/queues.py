"""SQS for tests: moto over loopback HTTP."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

import pytest
from werkzeug.serving import make_server

__all__ = ["SqsQueue", "sqs_server"]


class SqsQueue:
    """One queue.

    Attributes:
        url: Its address.
    """

    def __init__(self, client: Any, name: str) -> None:
        self._client = client
        self.url: str = client.create_queue(QueueName=name)["QueueUrl"]

    def receive(self) -> list[dict[str, Any]]:
        """Receive and delete all visible messages, in the format of Lambda's event source."""
        records: list[dict[str, Any]] = []
        while messages := self._receive():
            records += [_record(message) for message in messages]
        return records

    def _receive(self) -> list[dict[str, Any]]:
        given = {"QueueUrl": self.url, "MaxNumberOfMessages": 10, "AttributeNames": ["All"]}
        given["MessageAttributeNames"] = ["All"]
        messages: list[dict[str, Any]] = self._client.receive_message(**given).get("Messages", [])
        for message in messages:
            self._client.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        return messages

    def waiting(self) -> dict[str, int]:
        """Numbers of visible and of delayed messages."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesDelayed"]
        found = self._client.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)["Attributes"]
        return {"now": int(found[names[0]]), "later": int(found[names[1]])}


@contextmanager
def sqs_server() -> Iterator[str]:
    """Start a server of SQS's API; yields its address."""
    # A second of imports, which few tests need.
    from moto.moto_server.werkzeug_app import MotoRequestHandler, create_backend_app

    # `ThreadedMotoServer` lists moto's folders for each request, to find its service.
    app = create_backend_app("sqs")
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=MotoRequestHandler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def make_queue(address: str, name: str, patch: pytest.MonkeyPatch) -> SqsQueue:
    """Create a queue that the settings of the test call `default`."""
    import boto3

    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        patch.setenv(variable, "test")
    patch.setenv("AWS_REGION", "us-east-1")
    patch.setenv("AWS_ENDPOINT_URL", address)
    queue = SqsQueue(boto3.client("sqs", region_name="us-east-1", endpoint_url=address), name)
    patch.setenv("TASK_QUEUE_URLS", f"default={queue.url}")
    return queue


def _record(message: dict[str, Any]) -> dict[str, Any]:
    attributes = {
        name: {"stringValue": value["StringValue"], "dataType": value["DataType"]}
        for name, value in message.get("MessageAttributes", {}).items()
    }
    return {
        "messageId": message["MessageId"],
        "body": message["Body"],
        "attributes": message["Attributes"],
        "messageAttributes": attributes,
    }
