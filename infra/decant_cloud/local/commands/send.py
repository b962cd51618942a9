"""`send`: a message to a queue, as any program at AWS could send it."""

from pathlib import Path

from decant_cloud.local.deploy import Cloud, physical_id, refusals
from decant_cloud.local.state import require_up
from decant_cloud.local.terminal import output
from decant_cloud.paths import root
from decant_cloud.template.model import Template

__all__ = ["run"]


def run(*, state: Path, message: str, queue: str) -> None:
    """Send a message and print its id.

    Raises:
        LocalCloudError: there is no such queue, nothing runs, or the message was refused.
    """
    queue = Template(root()).queue(queue)
    up = require_up(state)
    cloud = Cloud(up.url)
    url = physical_id(cloud, up.stack, queue)
    with refusals(cloud, "the message"):
        sent = cloud.client("sqs").send_message(QueueUrl=url, MessageBody=message)
    output().print(f"Sent to {queue}: message {sent['MessageId']}", highlight=False, soft_wrap=True)
