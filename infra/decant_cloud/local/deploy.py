"""Deploy a template to an emulated AWS by change set."""

import functools
import hashlib
import importlib
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from botocore.exceptions import BotoCoreError, ClientError

from decant_cloud.local.errors import LocalCloudError
from decant_cloud.local.stack_events import Wait, failure, wait_for_change_set, wait_for_stack

__all__ = [
    "LONGEST_IN_A_CALL",
    "Cloud",
    "Deployment",
    "delete",
    "delete_failed",
    "deploy",
    "describe",
    "physical_id",
    "placed",
    "put_secrets",
    "refusals",
    "template_url",
]

TEMPLATES_BUCKET = "templates"
LONGEST_IN_A_CALL = 51_200
"""Bytes of a template that is not in a bucket. Source: AWS CloudFormation quotas."""

_LOOK_EVERY_S = 0.1
_DELETED_WITHIN_S = 60

_NEVER_STOOD = ("CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED")
"""Of a stack that can only be deleted. Source: AWS CloudFormation User Guide, stack status codes."""


class Cloud:
    """An emulated AWS and how to talk to it.

    Args:
        url: Where every AWS API answers.
    """

    def __init__(self, url: str, region: str = "us-east-1") -> None:
        self.url = url
        self._region = region

    def client(self, service: str, read_timeout_s: float | None = None) -> Any:
        """A boto3 client of one service; with a time-out, for one long call, which is not tried again."""
        config = None
        if read_timeout_s is not None:
            options = {"read_timeout": read_timeout_s, "retries": {"total_max_attempts": 1}}
            config = importlib.import_module("botocore.config").Config(**options)
        return self._session.client(service, endpoint_url=self.url, config=config)

    @functools.cached_property
    def _session(self) -> Any:
        """One session, which reads each service's description once; imported while the engine starts: half a second."""
        credentials = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}  # what emulators take for some
        return importlib.import_module("boto3").Session(region_name=self._region, **credentials)


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """A deployed stack.

    Attributes:
        api_url: Address of the API's stage, without a slash at the end.
        functions: Each function's name at AWS, by its logical id.
        outputs: The template's outputs.
    """

    api_url: str
    functions: Mapping[str, str]
    outputs: Mapping[str, str]


def deploy(
    cloud: Cloud,
    stack: str,
    template: Mapping[str, Any],
    parameters: Mapping[str, str],
    wait: Wait | None = None,
) -> Deployment:
    """Create the stack, or update it, and wait until the deployment has ended.

    Args:
        cloud: Emulated AWS.
        stack: Name of the stack.
        template: Template with its code placed, see `mounted_code.with_code`.
        parameters: Values of the template's parameters.
        wait: Time limit, and what takes the events of the stack when the deployment is slow.
    Raises:
        LocalCloudError: it was refused, took too long, or failed and was rolled back; the message names each resource
            that failed, and why.
    """
    wait = wait or Wait()
    cloudformation = cloud.client("cloudformation")
    with refusals(cloud, "the deployment"):
        delete_failed(cloud, stack)
        before = _state(cloudformation, stack)
        change_set = cloudformation.create_change_set(
            StackName=stack,
            ChangeSetName=f"local-{uuid4()}",
            ChangeSetType="UPDATE" if before else "CREATE",
            **placed(cloud, json.dumps(template, separators=(",", ":"))),
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
        )["Id"]
        planned = wait_for_change_set(cloudformation, change_set, wait.timeout_s)
        if planned["Status"] == "FAILED" and "didn't contain changes" not in planned.get("StatusReason", ""):
            raise LocalCloudError(f"The template was refused: {planned.get('StatusReason', 'no reason was given')}")
        if planned["Status"] != "FAILED":
            cloudformation.execute_change_set(ChangeSetName=change_set)
            after = wait_for_stack(cloudformation, stack, wait)
            if after["StackStatus"] not in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
                events = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
                raise LocalCloudError(failure(after, events))
        return describe(cloud, stack)


@contextmanager
def refusals(cloud: Cloud, what: str) -> Iterator[None]:
    """Report which cloud refused the operation, when a call of the block fails.

    Raises:
        LocalCloudError: one did.
    """
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise LocalCloudError(f"{cloud.url} refused {what}: {error}") from error


def put_secrets(cloud: Cloud, secrets: Mapping[str, str]) -> None:
    """Create secrets, or give existing ones these values."""
    client = cloud.client("secretsmanager")
    for name, value in secrets.items():
        try:
            client.create_secret(Name=name, SecretString=value)
        except client.exceptions.ResourceExistsException:
            client.put_secret_value(SecretId=name, SecretString=value)


def placed(cloud: Cloud, template: str) -> dict[str, str]:
    """Where CloudFormation finds a template's text: in the call itself, or in a bucket when it is too long for that."""
    if len(template.encode()) <= LONGEST_IN_A_CALL:
        return {"TemplateBody": template}
    return {"TemplateURL": template_url(cloud, template)}


def template_url(cloud: Cloud, template: str) -> str:
    """Put a template into a bucket, under its digest: a stack is updated only when its template's URL changes.

    Returns:
        The object's URL.
    """
    s3, key = cloud.client("s3"), hashlib.sha256(template.encode()).hexdigest()
    s3.create_bucket(Bucket=TEMPLATES_BUCKET)
    s3.put_object(Bucket=TEMPLATES_BUCKET, Key=key, Body=template.encode())
    return f"{cloud.url}/{TEMPLATES_BUCKET}/{key}"


def _state(cloudformation: Any, stack: str) -> dict[str, Any] | None:
    try:
        state: dict[str, Any] = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
    except ClientError:
        return None
    return state


def delete(cloud: Cloud, stack: str) -> None:
    """Delete a stack with all that is in it, and wait until it is gone.

    Raises:
        LocalCloudError: it is still there.
    """
    cloudformation = cloud.client("cloudformation")
    with refusals(cloud, "to delete the stack"):
        cloudformation.delete_stack(StackName=stack)
        deadline = time.monotonic() + _DELETED_WITHIN_S
        while _state(cloudformation, stack):
            if time.monotonic() > deadline:
                raise LocalCloudError(f"{cloud.url} has not deleted the stack within {_DELETED_WITHIN_S} s.")
            time.sleep(_LOOK_EVERY_S)


def delete_failed(cloud: Cloud, stack: str) -> None:
    """Delete a stack whose creation has failed; CloudFormation does not update it.

    Raises:
        LocalCloudError: it is still there.
    """
    with refusals(cloud, "the deployment"):
        found = _state(cloud.client("cloudformation"), stack)
    if found and found["StackStatus"] in _NEVER_STOOD:
        delete(cloud, stack)


def describe(cloud: Cloud, stack: str) -> Deployment:
    """A stack that stands; also after an update that was rolled back."""
    cloudformation = cloud.client("cloudformation")
    state = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
    resources = cloudformation.describe_stack_resources(StackName=stack)["StackResources"]
    names = {each["LogicalResourceId"]: each.get("PhysicalResourceId", "") for each in resources}
    kinds = {each["LogicalResourceId"]: each["ResourceType"] for each in resources}
    api = next(name for name, kind in kinds.items() if kind == "AWS::ApiGateway::RestApi")
    stage = next(name for name, kind in kinds.items() if kind == "AWS::ApiGateway::Stage")
    return Deployment(
        api_url=f"{cloud.url}/_aws/execute-api/{names[api]}/{names[stage]}",
        functions={name: names[name] for name, kind in kinds.items() if kind == "AWS::Lambda::Function"},
        outputs={each["OutputKey"]: each["OutputValue"] for each in state.get("Outputs", [])},
    )


def physical_id(cloud: Cloud, stack: str, logical_id: str) -> str:
    """A resource's name at AWS: of a function its name, of a queue its address.

    Raises:
        LocalCloudError: the stack has none of that name.
    """
    with refusals(cloud, f"to describe {logical_id}"):
        resources = cloud.client("cloudformation").describe_stack_resources(StackName=stack)["StackResources"]
    for each in resources:
        if each["LogicalResourceId"] == logical_id:
            return str(each["PhysicalResourceId"])
    raise LocalCloudError(f"{logical_id} is not deployed yet; the next `make up` does it.")
