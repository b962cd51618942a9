"""infra/network.yaml: what there is, and who may speak to whom."""

import ipaddress
from itertools import combinations
from typing import Any

import pytest

from tests.stacks import of_type, policy_statements, stack


def ways_out(network: dict[str, Any], group: str) -> list[Any]:
    """Where one security group lets its members go."""
    destinations = ("DestinationSecurityGroupId", "CidrIp")
    rules = of_type(network, "AWS::EC2::SecurityGroup")[group]["SecurityGroupEgress"]
    return [rule[kind] for rule in rules for kind in destinations if kind in rule]


def test_network_has_no_way_to_the_internet_by_default() -> None:
    """Without NAT there is no gateway, and no route but those of the network itself."""
    network = stack("network")

    assert not of_type(network, "AWS::EC2::InternetGateway")
    assert not of_type(network, "AWS::EC2::NatGateway")
    assert not of_type(network, "AWS::EC2::Route")


def test_network_puts_each_private_subnet_into_a_zone_of_its_own() -> None:
    """Two subnets in one zone would fall together."""
    private = [
        each for name, each in of_type(stack("network", Zones=3), "AWS::EC2::Subnet").items() if "Private" in name
    ]

    assert len({each["AvailabilityZone"] for each in private}) == 3


def test_network_subnets_lie_inside_and_apart() -> None:
    """With every subnet there can be, none overlaps another or leaves the network."""
    network = stack("network", Cidr="172.16.0.0/16", Zones=3, Nat="each-zone")

    subnets = [ipaddress.IPv4Network(each["CidrBlock"]) for each in of_type(network, "AWS::EC2::Subnet").values()]

    assert len(subnets) == 9
    assert all(subnet.subnet_of(ipaddress.IPv4Network("172.16.0.0/16")) for subnet in subnets)
    assert not any(one.overlaps(other) for one, other in combinations(subnets, 2))


@pytest.mark.parametrize(
    ("nat", "gateways"),
    [
        pytest.param("one", {"NatGateway1"}, id="one for all zones"),
        pytest.param("each-zone", {"NatGateway1", "NatGateway2", "NatGateway3"}, id="one in each zone"),
    ],
)
def test_network_with_nat_routes_every_outbound_subnet_through_it(nat: str, gateways: set[str]) -> None:
    """Each outbound route table has a way out, through as many gateways as were asked for."""
    network = stack("network", Zones=3, Nat=nat)

    routes = [each for each in of_type(network, "AWS::EC2::Route").values() if "NatGatewayId" in each]

    assert {each["RouteTableId"]["Ref"] for each in routes} == {f"OutboundRoutes{zone}" for zone in (1, 2, 3)}
    assert (
        {each["NatGatewayId"]["Ref"] for each in routes} == gateways == of_type(network, "AWS::EC2::NatGateway").keys()
    )


def test_network_leads_no_private_subnet_out() -> None:
    """Also with NAT: functions with rows or passwords at hand reach no other host, for any rule of their group."""
    network = stack("network", Zones=3, Nat="each-zone")

    routed = {each["RouteTableId"]["Ref"] for each in of_type(network, "AWS::EC2::Route").values()}
    tables = {
        each["SubnetId"]["Ref"]: each["RouteTableId"]["Ref"]
        for each in of_type(network, "AWS::EC2::SubnetRouteTableAssociation").values()
    }

    assert {tables[f"PrivateSubnet{zone}"] for zone in (1, 2, 3)}.isdisjoint(routed)
    assert network["Outputs"]["SubnetIds"]["Value"] == {
        "Fn::Join": [",", [{"Ref": f"PrivateSubnet{zone}"} for zone in (1, 2, 3)]]
    }


def test_network_lets_nobody_in_but_functions_to_the_endpoints() -> None:
    """No group takes connections, except that of the endpoints, from our own groups alone."""
    network = stack("network", Zones=3, Nat="each-zone")

    rules = of_type(network, "AWS::EC2::SecurityGroupIngress").values()

    assert not any("SecurityGroupIngress" in each for each in of_type(network, "AWS::EC2::SecurityGroup").values())
    assert {each["GroupId"]["Ref"] for each in rules} == {"EndpointsSecurityGroup"}
    assert {each["SourceSecurityGroupId"]["Ref"] for each in rules} == {
        "FunctionsSecurityGroup",
        "MigrationSecurityGroup",
    }


def test_network_lets_each_group_go_where_it_must_and_nowhere_else() -> None:
    """Functions reach the endpoints, the migration wherever a private subnet leads, callers of others the internet."""
    network = stack("network", Nat="one")
    endpoints = {"Ref": "EndpointsSecurityGroup"}

    assert ways_out(network, "FunctionsSecurityGroup") == [endpoints]
    assert ways_out(network, "MigrationSecurityGroup") == ["0.0.0.0/0"]
    assert ways_out(network, "InternetSecurityGroup") == ["0.0.0.0/0"]
    assert ways_out(network, "EndpointsSecurityGroup") == ["127.0.0.1/32"]


def test_network_endpoints_serve_this_account_alone() -> None:
    """A stolen key of another account cannot carry data out through an endpoint."""
    endpoints = of_type(stack("network"), "AWS::EC2::VPCEndpoint")
    interfaces = {name: each for name, each in endpoints.items() if each["VpcEndpointType"] == "Interface"}

    statements = [each["PolicyDocument"]["Statement"][0] for each in interfaces.values()]

    assert all(each["Condition"] == {"StringEquals": {"aws:PrincipalAccount": "123456789012"}} for each in statements)


def test_network_endpoints_are_those_of_the_services_used() -> None:
    """Queues, secrets, logs and traces have private names; S3 costs nothing."""
    endpoints = of_type(stack("network"), "AWS::EC2::VPCEndpoint").values()

    private = {each["ServiceName"].rpartition(".")[2] for each in endpoints if each.get("PrivateDnsEnabled")}

    assert private == {"sqs", "secretsmanager", "logs", "xray"}
    assert [each["ServiceName"] for each in endpoints if each["VpcEndpointType"] == "Gateway"] == [
        "com.amazonaws.eu-west-1.s3"
    ]


def test_network_s3_endpoint_takes_answers_to_cloudformation_alone() -> None:
    """Nothing inside can read from S3, or write to a bucket of its choice."""
    policy = of_type(stack("network"), "AWS::EC2::VPCEndpoint")["S3Endpoint"]["PolicyDocument"]

    [statement] = policy["Statement"]

    assert statement["Action"] == "s3:PutObject"
    assert statement["Resource"].startswith("arn:aws:s3:::cloudformation-custom-resource-response-")


def test_network_without_telemetry_endpoints_saves_two() -> None:
    """Each endpoint costs by the hour and zone; the two that Lambda itself can do without go by one switch."""
    endpoints = of_type(stack("network", TelemetryEndpoints="false"), "AWS::EC2::VPCEndpoint")

    assert endpoints.keys() == {"SqsEndpoint", "SecretsEndpoint", "S3Endpoint"}


def test_network_flow_log_role_writes_its_own_group_alone() -> None:
    """The role of the flow log has no use for any other log group."""
    [role] = of_type(stack("network"), "AWS::IAM::Role").values()

    [statement] = policy_statements(role)

    assert statement["Resource"] == {"Fn::GetAtt": ["FlowLogGroup", "Arn"]}


def test_network_keeps_no_flow_log_for_zero_days() -> None:
    """The record of connections can be switched off."""
    assert not of_type(stack("network", FlowLogDays=0), "AWS::EC2::FlowLog")
