"""`invoke`: a function's answer to an event, on standard output."""

import json
from pathlib import Path

from decant_cloud.local.deploy import Cloud, physical_id, refusals
from decant_cloud.local.errors import LocalCloudError
from decant_cloud.local.state import require_up
from decant_cloud.local.terminal import json_text, output
from decant_cloud.local.tokens import with_token
from decant_cloud.paths import root
from decant_cloud.template.model import Template

__all__ = ["run"]

LONGEST_S = 15 * 60
"""That a function can take, at AWS and here."""


def run(*, state: Path, function: str, event: str | None) -> None:
    """Invoke a function and print its response; for a failed invocation, the error follows.

    Raises:
        LocalCloudError: the function or event does not exist, no local cloud runs, or the function failed.
    """
    found = Template(root()).function(function)
    text = _event(event or str(root() / f"events/{found.name}.json"))
    up = require_up(state)
    cloud = Cloud(up.url)
    name = physical_id(cloud, up.stack, found.logical_id)
    client = cloud.client("lambda", read_timeout_s=LONGEST_S + 10)
    with refusals(cloud, "the invocation"):
        response = client.invoke(FunctionName=name, Payload=with_token(text, state).encode())
    payload = response["Payload"].read().decode() or "null"
    output().print_json(payload, ensure_ascii=json_text(json.loads(payload)).isascii())
    if "FunctionError" in response:
        failed = json.loads(payload)
        raise LocalCloudError(f"{found.logical_id} failed: {failed.get('errorType')}: {failed.get('errorMessage')}")


def _event(given: str) -> str:
    """Text of the event: the argument itself, or the content of the file that it names."""
    try:
        text = given if given.lstrip().startswith(("{", "[")) else Path(given).read_text()
        json.loads(text)
    except OSError as error:
        raise LocalCloudError(f"The event {given} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise LocalCloudError(f"The event {given} is not JSON: {error}.") from error
    return text
