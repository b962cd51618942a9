"""The template as the local cloud deploys it."""

from pathlib import Path
from typing import Any

from decant_cloud.local.mounted_code import keep_messages, with_code
from decant_cloud.local.stack_events import failure

TEMPLATE: dict[str, Any] = {
    "Resources": {
        "Function": {"Type": "AWS::Serverless::Function", "Properties": {"CodeUri": "functions/one/"}},
        "Layer": {"Type": "AWS::Serverless::LayerVersion", "Properties": {"ContentUri": "shared/"}},
        "Queue": {"Type": "AWS::SQS::Queue"},
    }
}


def test_function_code_is_with_code(tmp_path: Path) -> None:
    """A function's folder becomes an object that LocalStack mounts, by its absolute path."""
    template = with_code(TEMPLATE, tmp_path, tmp_path / "layers")

    mount = {"Bucket": "hot-reload", "Key": str(tmp_path / "functions/one")}
    assert template["Resources"]["Function"]["Properties"]["CodeUri"] == mount


def test_layer_is_with_code(tmp_path: Path) -> None:
    """A layer's content becomes the folder that was built under its name."""
    template = with_code(TEMPLATE, tmp_path, tmp_path / "layers")

    mount = {"Bucket": "hot-reload", "Key": str(tmp_path / "layers/Layer")}
    assert template["Resources"]["Layer"]["Properties"]["ContentUri"] == mount


def test_versions_are_left_out(tmp_path: Path) -> None:
    """A folder that is edited has no frozen versions, and no alias that would point to one."""
    template: dict[str, Any] = {
        "Globals": {"Function": {"AutoPublishAlias": "live", "Timeout": 25}},
        "Resources": {
            "Function": {
                "Type": "AWS::Serverless::Function",
                "Properties": {"CodeUri": "functions/one/", "AutoPublishAliasAllProperties": True},
            }
        },
    }

    deployed = with_code(template, tmp_path, tmp_path / "layer")

    assert deployed["Globals"]["Function"] == {"Timeout": 25}
    assert deployed["Resources"]["Function"]["Properties"].keys() == {"CodeUri"}


def test_template_itself_is_left_alone(tmp_path: Path) -> None:
    """What was read from the file is not changed."""
    with_code(TEMPLATE, tmp_path, tmp_path / "layer")

    assert TEMPLATE["Resources"]["Function"]["Properties"] == {"CodeUri": "functions/one/"}


def test_messages_are_kept_for_a_function_alone() -> None:
    """Its own queue hides them for longer; others stay as they are, and all do when there is no such function."""
    source = {"Type": "SQS", "Properties": {"Queue": {"Fn::GetAtt": ["Mine", "Arn"]}}}
    queues = {name: {"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeout": 150}} for name in ("Mine", "Other")}
    worker = {"Type": "AWS::Serverless::Function", "Properties": {"Events": {"Queue": source}}}
    template: dict[str, Any] = {"Resources": {"Worker": worker, **queues}}

    keep_messages(template, "Worker", 3600)
    keep_messages(template, "Gone", 3600)

    seconds = {name: template["Resources"][name]["Properties"]["VisibilityTimeout"] for name in queues}
    assert seconds == {"Mine": 3600, "Other": 150}


def event(name: str, status: str, reason: str = "") -> dict[str, str]:
    """One of a stack's events, as CloudFormation returns it."""
    return {"LogicalResourceId": name, "ResourceStatus": status, "ResourceStatusReason": reason}


def test_failure_names_what_failed_and_why() -> None:
    """Each resource stands with its reason, oldest first; what failed only in its wake is left out."""
    events = [
        event("decant", "CREATE_FAILED"),
        event("UsersGet", "CREATE_FAILED", "Resource provider operation failed: no such runtime"),
        event("Topic", "CREATE_FAILED", "no such name"),
        event("Queue", "CREATE_COMPLETE"),
        event("decant", "CREATE_IN_PROGRESS"),
    ]

    message = failure({"StackName": "decant", "StackStatus": "ROLLBACK_COMPLETE"}, events)

    assert message == "The deployment ended as ROLLBACK_COMPLETE.\n  Topic: no such name\n  UsersGet: no such runtime"


def test_failure_tells_of_the_last_deployment_alone() -> None:
    """What failed in one before is mended; after a rollback, what ran before runs on."""
    events = [
        event("decant", "UPDATE_ROLLBACK_COMPLETE"),
        event("Queue", "UPDATE_FAILED", "no such name"),
        event("decant", "UPDATE_IN_PROGRESS"),
        event("UsersGet", "UPDATE_FAILED", "no such runtime"),
    ]

    message = failure({"StackName": "decant", "StackStatus": "UPDATE_ROLLBACK_COMPLETE"}, events)

    first = "The deployment ended as UPDATE_ROLLBACK_COMPLETE, and what ran before runs on."
    assert message == f"{first}\n  Queue: no such name"
