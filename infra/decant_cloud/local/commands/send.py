"""`send`: a message to a queue, as any program at AWS could send it."""

import argparse

from rich.console import Console

from decant_cloud.checks.layout import load_template
from decant_cloud.local.deploy import Cloud, physical_id, refusals
from decant_cloud.local.names import queue_named
from decant_cloud.local.state import require_up
from decant_cloud.paths import root

__all__ = ["run"]


def run(console: Console, arguments: argparse.Namespace) -> None:
    """Send a message and print its id.

    Raises:
        LocalCloudError: there is no such queue, nothing runs, or the message was refused.
    """
    queue = queue_named(load_template(root() / "template.yaml"), arguments.queue)
    up = require_up(arguments.state)
    cloud = Cloud(up.url)
    url = physical_id(cloud, up.stack, queue)
    with refusals(cloud, "the message"):
        sent = cloud.client("sqs").send_message(QueueUrl=url, MessageBody=arguments.message)
    console.print(f"Sent to {queue}: message {sent['MessageId']}", highlight=False, soft_wrap=True)
