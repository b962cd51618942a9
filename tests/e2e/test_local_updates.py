"""A template that changes: its stack is updated in place, and stays as it was when the update fails."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from decant_cloud.local.deploy import Cloud, Deployment, delete, deploy, describe
from decant_cloud.local.errors import LocalCloudError
from tests.e2e.running import RunningCloud

STACK = "updated"

CODE = """
import os

def handler(event, context):
    is_patient = context.get_remaining_time_in_millis() > 9000
    return {"statusCode": 200, "body": f"{event['resource']} {os.environ['WORD']} {is_patient}"}
"""

Change = Callable[[dict[str, Any]], None]


@dataclass
class Stack:
    """A stack of one function behind an API."""

    cloud: Cloud
    folder: Path

    def deploy(self, change: Change = lambda _template: None) -> Deployment:
        """Deploy the template with a change."""
        template = self._template()
        change(template)
        return deploy(self.cloud, STACK, template, {})

    def get(self, path: str) -> str:
        """What the API answers."""
        return httpx.get(f"{describe(self.cloud, STACK).api_url}{path}", timeout=60).text

    def _template(self) -> dict[str, Any]:
        return {
            "Transform": "AWS::Serverless-2016-10-31",
            "Conditions": {
                "One": {"Fn::Equals": ["1", "1"]},
                "Two": {"Fn::And": [{"Condition": "One"}, {"Fn::Equals": ["2", "2"]}]},
                "Three": {"Fn::And": [{"Condition": "Two"}, {"Fn::Equals": ["3", "3"]}]},
            },
            "Resources": {
                "Queue": {"Type": "AWS::SQS::Queue", "Condition": "Three", "Properties": {"QueueName": "updated"}},
                "Function": {
                    "Type": "AWS::Serverless::Function",
                    "Properties": {
                        "CodeUri": {"Bucket": "hot-reload", "Key": str(self.folder)},
                        "Handler": "app.handler",
                        "Runtime": "python3.13",
                        "Timeout": 20,
                        "Environment": {"Variables": {"WORD": "first"}},
                        "Events": {"Route": _route("/one")},
                    },
                },
            },
        }


def _route(path: str) -> dict[str, Any]:
    return {"Type": "Api", "Properties": {"Method": "GET", "Path": path}}


def _function(template: dict[str, Any]) -> dict[str, Any]:
    properties: dict[str, Any] = template["Resources"]["Function"]["Properties"]
    return properties


def other_word(template: dict[str, Any]) -> None:
    """Change a setting."""
    _function(template)["Environment"]["Variables"]["WORD"] = "second"


def another_route(template: dict[str, Any]) -> None:
    """Add a route."""
    _function(template)["Events"]["Other"] = _route("/two")


def broken(template: dict[str, Any]) -> None:
    """Change a setting and add a route and a queue, and another queue that cannot be."""
    other_word(template)
    another_route(template)
    template["Resources"]["More"] = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "updated-more"}}
    wrong = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "no name"}, "DependsOn": ["Function", "More"]}
    template["Resources"]["Wrong"] = wrong


@pytest.fixture
def stack(local_cloud: RunningCloud, tmp_path: Path) -> Iterator[Stack]:
    """The stack, deployed; afterwards deleted."""
    (tmp_path / "app.py").write_text(CODE)
    deployed = Stack(Cloud(local_cloud.url), tmp_path)
    deployed.deploy()
    yield deployed
    delete(deployed.cloud, STACK)


def test_changed_setting_is_live(stack: Stack) -> None:
    """The function has it in its next invocation, and a setting that was removed has the default of AWS."""

    def change(template: dict[str, Any]) -> None:
        other_word(template)
        del _function(template)["Timeout"]

    before = stack.get("/one")
    stack.deploy(change)

    assert (before, stack.get("/one")) == ("/one first True", "/one second False")


def test_new_route_is_live_at_the_same_address(stack: Stack) -> None:
    """And the route that there was goes on."""
    before = describe(stack.cloud, STACK).api_url

    after = stack.deploy(another_route).api_url

    assert after == before
    assert (stack.get("/one"), stack.get("/two")) == ("/one first True", "/two first True")


def test_removed_route_is_gone(stack: Stack) -> None:
    """The gateway rejects requests for it."""
    stack.deploy(another_route)

    stack.deploy()

    assert stack.get("/two") == '{"message": "Missing Authentication Token"}'


def test_what_has_not_changed_is_left_alone(stack: Stack) -> None:
    """A message on a queue is still there after the function has changed."""
    sqs = stack.cloud.client("sqs")
    url = sqs.get_queue_url(QueueName="updated")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="kept")

    stack.deploy(other_word)

    assert sqs.receive_message(QueueUrl=url)["Messages"][0]["Body"] == "kept"


def test_failed_update_leaves_what_there_was(stack: Stack) -> None:
    """The old stack serves on with nothing of the new one in it, and the error names what failed."""
    with pytest.raises(LocalCloudError, match=r"what ran before runs on\.\n  Wrong: .*InvalidParameterValue"):
        stack.deploy(broken)

    assert (stack.get("/one"), stack.get("/two")) == ("/one first True", '{"message": "Missing Authentication Token"}')
    assert "QueueUrls" not in stack.cloud.client("sqs").list_queues(QueueNamePrefix="updated-")


def test_refused_template_leaves_what_there_was(stack: Stack) -> None:
    """What SAM makes nothing of never becomes an update."""
    with pytest.raises(LocalCloudError, match="Property 'Path' is required"):
        stack.deploy(lambda template: _function(template)["Events"]["Route"]["Properties"].pop("Path"))

    assert stack.get("/one") == "/one first True"


@pytest.mark.parametrize("failure", [broken, lambda template: _function(template).pop("Handler")])
def test_next_template_mends_a_failure(stack: Stack, failure: Change) -> None:
    """Whether the one before has failed half way or was refused."""
    with pytest.raises(LocalCloudError):
        stack.deploy(failure)

    stack.deploy(other_word)

    assert stack.get("/one") == "/one second True"


def test_what_localstack_cannot_update_is_replaced(stack: Stack) -> None:
    """For example a schedule, of which it would keep the old one."""

    def schedule(expression: str) -> Change:
        event = {"Type": "Schedule", "Properties": {"Schedule": expression}}
        return lambda template: _function(template)["Events"].update(Later=event)

    stack.deploy(schedule("rate(5 days)"))
    stack.deploy(schedule("rate(6 days)"))

    rules = stack.cloud.client("events").list_rules(NamePrefix=STACK)["Rules"]
    assert [each["ScheduleExpression"] for each in rules] == ["rate(6 days)"]
