"""The network and the database, made by moto: its CloudFormation and, where that knows no cluster, its RDS."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tests.stacks import REGION, deploy_to_moto, of_type, stack


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An AWS account in memory."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws():
        yield


def routes(kind: str) -> list[dict[str, str]]:
    """What each route table leads to, by destination, of those whose name in the template begins with a word."""
    tables = boto3.client("ec2", REGION).describe_route_tables(
        Filters=[{"Name": "tag:aws:cloudformation:logical-id", "Values": [f"{kind}Routes*"]}]
    )["RouteTables"]
    return [
        {
            route.get("DestinationCidrBlock", "S3"): route.get("NatGatewayId") or route["GatewayId"]
            for route in table["Routes"]
        }
        for table in tables
    ]


@pytest.mark.parametrize("nat", ["none", "one"])
def test_network_comes_up_closed(nat: str) -> None:
    """A private subnet leads to its own network and to S3, with NAT or without."""
    deploy_to_moto("network", stack("network", Nat=nat))

    assert [set(each) for each in routes("Private")] == [{"10.20.0.0/16", "S3"}] * 2


def test_network_comes_up_with_a_way_out_of_each_zone() -> None:
    """With NAT in each zone, the three outbound subnets lead to three gateways."""
    deploy_to_moto("network", stack("network", Zones=3, Nat="each-zone"))

    assert len({each["0.0.0.0/0"] for each in routes("Outbound")}) == 3


def test_network_endpoints_answer_in_every_zone() -> None:
    """Each interface endpoint has an address in each private subnet."""
    outputs = deploy_to_moto("network", stack("network", Zones=3))

    endpoints = boto3.client("ec2", REGION).describe_vpc_endpoints()["VpcEndpoints"]

    interfaces = [each for each in endpoints if each["VpcEndpointType"] == "Interface"]
    assert len(interfaces) == 4
    assert all(sorted(each["SubnetIds"]) == sorted(outputs["SubnetIds"].split(",")) for each in interfaces)


NOT_IN_MOTO = (
    "AWS::EC2::SecurityGroupEgress",
    "AWS::RDS::DBCluster",
    "AWS::RDS::DBClusterParameterGroup",
    "AWS::RDS::DBInstance",
    "AWS::RDS::DBProxy",
    "AWS::RDS::DBProxyTargetGroup",
    "AWS::IAM::Role",  # names the cluster
)
NAMES_IN_THE_API = {
    "MasterUserSecret": "MasterUserSecretKmsKeyId",
    "PerformanceInsightsEnabled": "EnablePerformanceInsights",
    "PerformanceInsightsKmsKeyId": "PerformanceInsightsKMSKeyId",
}
"""Where CloudFormation and the RDS API differ."""


@pytest.fixture
def database() -> dict[str, Any]:
    """The database's stack, inside a network that has just been made."""
    place = deploy_to_moto("network", stack("network"))
    names = ("VpcId", "SubnetIds", "FunctionsSecurityGroupId", "MigrationSecurityGroupId")
    resolved = stack("database", **{name: place[name] for name in names}, MinCapacity=0, Proxy="false")
    deploy_to_moto("database", resolved, leave_out=NOT_IN_MOTO)
    return resolved


def test_database_groups_let_the_right_ones_in(database: dict[str, Any]) -> None:
    """Two groups of the network reach port 5432, nobody else reaches anything."""
    [group] = boto3.client("ec2", REGION).describe_security_groups(
        Filters=[{"Name": "description", "Values": ["The database"]}]
    )["SecurityGroups"]

    [rule] = group["IpPermissions"]

    assert (rule["FromPort"], rule["ToPort"]) == (5432, 5432)
    expected = {
        each["SourceSecurityGroupId"]
        for each in of_type(database, "AWS::EC2::SecurityGroup")["ClusterSecurityGroup"]["SecurityGroupIngress"]
    }
    assert {pair["GroupId"] for pair in rule["UserIdGroupPairs"]} == expected


def test_database_cluster_is_what_the_api_takes(database: dict[str, Any]) -> None:
    """RDS's own API knows every property, and answers with what was asked for."""
    properties = of_type(database, "AWS::RDS::DBCluster")["Cluster"]
    [subnets] = boto3.client("rds", REGION).describe_db_subnet_groups()["DBSubnetGroups"]
    given = {NAMES_IN_THE_API.get(name, name): value for name, value in properties.items()}
    given |= {
        "DBSubnetGroupName": subnets["DBSubnetGroupName"],
        "VpcSecurityGroupIds": [],
        "DeletionProtection": True,
        "BackupRetentionPeriod": int(properties["BackupRetentionPeriod"]),
        "ServerlessV2ScalingConfiguration": {
            "MinCapacity": float(properties["ServerlessV2ScalingConfiguration"]["MinCapacity"]),
            "MaxCapacity": float(properties["ServerlessV2ScalingConfiguration"]["MaxCapacity"]),
            "SecondsUntilAutoPause": int(properties["ServerlessV2ScalingConfiguration"]["SecondsUntilAutoPause"]),
        },
    }
    del given["DBClusterParameterGroupName"]

    made = boto3.client("rds", REGION).create_db_cluster(**given)["DBCluster"]

    assert made["StorageEncrypted"] is True
    assert made["IAMDatabaseAuthenticationEnabled"] is True
    assert made["DeletionProtection"] is True
    assert made["MasterUserSecret"]["SecretArn"]
