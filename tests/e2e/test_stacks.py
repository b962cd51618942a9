"""The stacks of `infra/`, deployed to the local cloud, as far as it has their services."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from decant_cloud.template.evaluate import PSEUDO_PARAMETERS, resolve
from decant_cloud.template.model import load_template
from tests.e2e.running import QUICKLY, RunningCloud
from tests.loading import ROOT

HERE = {**PSEUDO_PARAMETERS, "AWS::Region": "us-east-1", "AWS::AccountId": "000000000000"}

WATCHED = {
    "Name": "decant-e2e",
    "ApiName": "decant",
    "StageName": "local",
    "DeadLettersName": "dead",
    "SweeperFunctionName": "sweeper",
    "Email": "a@example.com",
}


@pytest.fixture
def stack(local_cloud: RunningCloud, request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """One stack by name, template and parameters, created and afterwards deleted; its outputs."""
    name, template, given = request.param
    parameters = given(local_cloud) if callable(given) else given
    cloudformation = local_cloud.client("cloudformation")
    cloudformation.create_stack(
        StackName=name,
        TemplateBody=template,
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        Capabilities=["CAPABILITY_IAM"],
    )
    cloudformation.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig=QUICKLY)
    outputs = cloudformation.describe_stacks(StackName=name)["Stacks"][0].get("Outputs", [])
    yield {each["OutputKey"]: each["OutputValue"] for each in outputs}
    cloudformation.delete_stack(StackName=name)
    cloudformation.get_waiter("stack_delete_complete").wait(StackName=name, WaiterConfig=QUICKLY)


def written(name: str) -> str:
    """A template as it stands."""
    return (ROOT / f"infra/{name}.yaml").read_text()


def worked_out(name: str, **parameters: str) -> str:
    """A template for its parameters, without the functions that LocalStack lacks, such as Fn::Cidr."""
    return json.dumps(resolve(load_template(ROOT / f"infra/{name}.yaml"), parameters, HERE))


def watched(local_cloud: RunningCloud) -> dict[str, str]:
    """What the alarms watch, with a dead-letter queue."""
    return {**WATCHED, "DeadLettersUrl": local_cloud.client("sqs").create_queue(QueueName="dead")["QueueUrl"]}


@pytest.mark.parametrize("stack", [("monitoring", written("monitoring"), watched)], indirect=True)
def test_monitoring_alarms_tell_its_topic(local_cloud: RunningCloud, stack: dict[str, Any]) -> None:
    """Each alarm is there, and its topic is the one that mail goes to."""
    alarms = local_cloud.client("cloudwatch").describe_alarms(AlarmNamePrefix="decant-e2e-")["MetricAlarms"]
    mails = local_cloud.client("sns").list_subscriptions_by_topic(TopicArn=stack["TopicArn"])["Subscriptions"]

    names = ("api-errors", "api-few-errors", "api-latency", "route-errors", "route-latency")
    assert {each["AlarmName"] for each in alarms} == {
        f"decant-e2e-{name}" for name in (*names, "dead-letters", "sweeper-silent")
    }
    assert stack["RouteErrorsAlarmName"] == "decant-e2e-route-errors"
    assert {action for each in alarms for action in each["AlarmActions"]} == {stack["TopicArn"]}
    assert [each["Endpoint"] for each in mails] == ["a@example.com"]


def one_queue(local_cloud: RunningCloud) -> dict[str, str]:
    """A queue."""
    url = local_cloud.client("sqs").create_queue(QueueName="tasks")["QueueUrl"]
    return {"QueueName": "tasks", "QueueUrl": url, "TopicArn": "arn:aws:sns:us-east-1:000000000000:t"}


def statements(local_cloud: RunningCloud, queue: str) -> list[tuple[str, str]]:
    """Effect and queue name of each statement in a queue's policy."""
    sqs = local_cloud.client("sqs")
    url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    policy = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])["Attributes"]["Policy"]
    return [(each["Effect"], each["Resource"].rpartition(":")[2]) for each in json.loads(policy)["Statement"]]


@pytest.mark.parametrize("stack", [("queue", written("queue"), one_queue)], indirect=True)
@pytest.mark.usefixtures("stack")
def test_queue_is_reached_over_tls_alone_and_watched(local_cloud: RunningCloud) -> None:
    """The queue has a policy that denies other requests, and an alarm for messages that wait too long."""
    [alarm] = local_cloud.client("cloudwatch").describe_alarms(AlarmNamePrefix="tasks-")["MetricAlarms"]

    assert statements(local_cloud, "tasks") == [("Deny", "tasks")]
    assert (alarm["AlarmName"], alarm["Dimensions"]) == ("tasks-age", [{"Name": "QueueName", "Value": "tasks"}])


@pytest.mark.parametrize("stack", [("monitoring", written("monitoring"), watched)], indirect=True)
@pytest.mark.usefixtures("stack")
def test_dead_letter_queue_is_reached_over_tls_alone_and_watched(local_cloud: RunningCloud) -> None:
    """The dead-letter queue has a policy that denies other requests, and an alarm for its messages."""
    [alarm] = local_cloud.client("cloudwatch").describe_alarms(AlarmNames=["decant-e2e-dead-letters"])["MetricAlarms"]

    assert statements(local_cloud, "dead") == [("Deny", "dead")]
    assert re.findall(r"'Name': 'QueueName', 'Value': '(\w+)'", str(alarm)) == ["dead", "dead"]


FUNCTION = {"FunctionName": "worker", "TopicArn": "arn:aws:sns:us-east-1:000000000000:t"}


@pytest.mark.parametrize("stack", [("function-alarms", written("function-alarms"), FUNCTION)], indirect=True)
def test_function_alarms_watch_their_function(local_cloud: RunningCloud, stack: dict[str, Any]) -> None:
    """The name of the alarm, which a gradual deployment watches, is an output of the stack."""
    alarms = local_cloud.client("cloudwatch").describe_alarms(AlarmNamePrefix="worker-")["MetricAlarms"]

    assert {each["AlarmName"] for each in alarms} == {"worker-errors", "worker-few-errors", "worker-throttles"}
    assert stack["ErrorsAlarmName"] == "worker-errors"


@pytest.mark.parametrize("stack", [("network", worked_out("network", Zones="3"), {})], indirect=True)
def test_network_has_a_private_subnet_in_each_zone(local_cloud: RunningCloud, stack: dict[str, Any]) -> None:
    """Three subnets, in as many zones, none of which gives out public addresses."""
    subnets = local_cloud.client("ec2").describe_subnets(SubnetIds=stack["SubnetIds"].split(","))["Subnets"]

    assert len({each["AvailabilityZone"] for each in subnets}) == 3
    assert not any(each["MapPublicIpOnLaunch"] for each in subnets)


PIPELINE = {
    "Stage": "dev",
    "Repository": "owner/name",
    "ProviderArn": "arn:aws:iam::000000000000:oidc-provider/token.actions.githubusercontent.com",
}


@pytest.mark.parametrize("stack", [("decant-pipeline-dev", written("pipeline"), PIPELINE)], indirect=True)
def test_pipeline_makes_roles_within_a_boundary_and_a_bucket(local_cloud: RunningCloud, stack: dict[str, Any]) -> None:
    """What the workflow's variables name is there, and the role that CloudFormation works with has its policies."""
    iam, s3 = local_cloud.client("iam"), local_cloud.client("s3")
    role = stack["CloudFormationRoleArn"].rpartition("/")[2]

    attached = iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]

    assert len(attached) == 2
    assert iam.get_role(RoleName=stack["DeployRoleArn"].rpartition("/")[2])["Role"]["Arn"] == stack["DeployRoleArn"]
    assert iam.get_policy(PolicyArn=stack["BoundaryArn"])["Policy"]["IsAttachable"] is True
    assert s3.get_bucket_versioning(Bucket=stack["ArtefactBucket"])["Status"] == "Enabled"


def first_api(local_cloud: RunningCloud) -> dict[str, str]:
    """The bundle's own API, which asks for keys."""
    [api] = local_cloud.client("apigateway").get_rest_apis()["items"]
    return {"RestApiId": api["id"], "StageName": "local", "ApiKeys": "true", "ApiKeyRate": "5"}


@pytest.mark.parametrize("stack", [("edge", written("edge"), first_api)], indirect=True)
def test_edge_puts_the_first_key_into_a_plan(local_cloud: RunningCloud, stack: dict[str, Any]) -> None:
    """The key can be read by its id, and the plan that it is in has the rate that was asked for."""
    gateway = local_cloud.client("apigateway")

    key = gateway.get_api_key(apiKey=stack["ApiKeyId"], includeValue=True)
    [plan] = gateway.get_usage_plans(keyId=stack["ApiKeyId"])["items"]

    assert key["enabled"] is True
    assert plan["throttle"]["rateLimit"] == 5
