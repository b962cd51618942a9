"""Messages through an event source mapping."""

import io
import time
import zipfile
from itertools import batched
from pathlib import Path

from decant_cloud.local.deploy import Cloud
from tests.benchmarks.local.measures import Measure
from tests.benchmarks.local.running import Running

__all__ = ["create_function", "drain"]

MESSAGES = 500
SOURCE = "def handler(event, context): print('BATCH', len(event['Records']))"
NAME = "bench-messages"


def drain(running: Running) -> Measure:
    """From the first message sent to the last one handled; the mapping is there, and has AWS's batches of ten."""
    cloud = Cloud(running.url)
    sqs = cloud.client("sqs")
    queue = sqs.create_queue(QueueName=NAME)["QueueUrl"]
    create_function(cloud, NAME, SOURCE)
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    mappings = cloud.client("lambda")
    mapping = mappings.create_event_source_mapping(EventSourceArn=arn, FunctionName=NAME)["UUID"]
    while mappings.get_event_source_mapping(UUID=mapping)["State"] != "Enabled":
        time.sleep(0.05)
    started = time.perf_counter()
    for numbers in batched(range(MESSAGES), 10, strict=False):
        sqs.send_message_batch(
            QueueUrl=queue, Entries=[{"Id": str(number), "MessageBody": str(number)} for number in numbers]
        )
    while _handled(running.journal) < MESSAGES:
        time.sleep(0.01)
    taken = time.perf_counter() - started
    mappings.delete_event_source_mapping(UUID=mapping)
    return Measure(name=f"{MESSAGES} messages through the event source mapping", value=taken, unit="s", goal="≤ 4")


def create_function(cloud: Cloud, name: str, source: str) -> None:
    """Create a function, and wait until it can be invoked.

    Args:
        cloud: The local cloud.
        name: Name of the function.
        source: Its module, which defines `handler`.
    """
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr("app.py", source)
    client = cloud.client("lambda")
    client.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Handler="app.handler",
        Role="arn:aws:iam::000000000000:role/bench",
        Code={"ZipFile": content.getvalue()},
    )
    while client.get_function_configuration(FunctionName=name)["State"] == "Pending":
        time.sleep(0.02)


def _handled(journal: Path) -> int:
    lines = (line for line in journal.read_text().splitlines() if "BATCH" in line)
    return sum(int(line.partition("BATCH ")[2].partition('"')[0]) for line in lines)
