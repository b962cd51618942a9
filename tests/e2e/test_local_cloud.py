"""The local cloud as a whole."""

import json

import httpx
import pytest

from decant_cloud.local.deploy import LONGEST_IN_A_CALL, Cloud, delete, placed
from tests.e2e.running import QUICKLY, RunningCloud


def test_gateway_answers_a_route(local_cloud: RunningCloud) -> None:
    """A request goes through the REST gateway to a function that imports from the layer, and its answer comes back."""
    answer = httpx.get(f"{local_cloud.api_url}/async", params={"seconds": "0"}, timeout=60)

    assert (answer.status_code, answer.text) == (200, "Async Response")


def test_functions_listed_through_localstack_client(local_cloud: RunningCloud) -> None:
    """A localstack-client session reaches the same cloud."""
    functions = local_cloud.session().client("lambda").list_functions()["Functions"]

    assert local_cloud.function_name("AsyncResponse") in {each["FunctionName"] for each in functions}


def test_environment_of_function_changes_for_a_while(local_cloud: RunningCloud) -> None:
    """A function whose upstream is unreachable answers 502, and 200 once its environment is its own again."""
    with local_cloud.environment_of("FetchData", FETCH_DATA_URL="http://127.0.0.1:1/todos/1"):
        unreachable = httpx.get(f"{local_cloud.api_url}/fetch-data", timeout=60)
    reachable = httpx.get(f"{local_cloud.api_url}/fetch-data", timeout=60)

    assert (unreachable.status_code, reachable.status_code) == (502, 200)


def test_template_too_long_for_a_call_goes_through_a_bucket(local_cloud: RunningCloud) -> None:
    """CloudFormation takes 51,200 bytes in a call, and a bundle may grow beyond them."""
    cloud = Cloud(local_cloud.url)
    template = {"Metadata": {"Long": "x" * LONGEST_IN_A_CALL}, "Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}}

    read = cloud.client("cloudformation").get_template_summary(**placed(cloud, json.dumps(template)))

    assert read["ResourceTypes"] == ["AWS::SQS::Queue"]


def test_stack_is_deleted_with_all_that_is_in_it(local_cloud: RunningCloud) -> None:
    """Afterwards another of the same name can be made."""
    cloud = Cloud(local_cloud.url)
    template = {"Resources": {"Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "passing"}}}}
    cloudformation = cloud.client("cloudformation")
    cloudformation.create_stack(StackName="passing", TemplateBody=json.dumps(template))
    cloudformation.get_waiter("stack_create_complete").wait(StackName="passing", WaiterConfig=QUICKLY)

    delete(cloud, "passing")

    assert "QueueUrls" not in cloud.client("sqs").list_queues(QueueNamePrefix="passing")


def test_ec2_answers_though_it_is_not_loaded_at_the_start(local_cloud: RunningCloud) -> None:
    """What CloudFormation names of it is a stand-in until it is used."""
    zones = local_cloud.client("ec2").describe_availability_zones()["AvailabilityZones"]

    assert "us-east-1a" in {zone["ZoneName"] for zone in zones}


def test_managed_policies_are_those_of_aws(local_cloud: RunningCloud) -> None:
    """IAM of the engine returns a policy of AWS by its ARN, and rejects an ARN that AWS does not have."""
    iam = local_cloud.session().client("iam")
    prefix = "arn:aws:iam::aws:policy/"

    found = iam.get_policy(PolicyArn=f"{prefix}ReadOnlyAccess")["Policy"]

    assert found["PolicyName"] == "ReadOnlyAccess"
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        iam.get_policy(PolicyArn=f"{prefix}Absent")
