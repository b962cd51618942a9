"""infra/database.yaml: what is kept safe, who reaches it, and what it does without a proxy."""

from typing import Any

import pytest

from decant_cloud.template.model import load_template
from tests.loading import ROOT
from tests.stacks import of_type, policy_statements, stack

PLACE = {
    "VpcId": "vpc-1",
    "SubnetIds": "subnet-1,subnet-2",
    "FunctionsSecurityGroupId": "sg-functions",
    "MigrationSecurityGroupId": "sg-migration",
}
KEY = "arn:aws:kms:eu-west-1:123456789012:key/1"


def database(**parameters: Any) -> dict[str, Any]:
    """The stack in a place of its own."""
    return stack("database", **PLACE, **parameters)


def cluster(**parameters: Any) -> dict[str, Any]:
    """Properties of its cluster."""
    return of_type(database(**parameters), "AWS::RDS::DBCluster")["Cluster"]


def test_database_knows_no_password() -> None:
    """RDS makes and rotates the only one there is; no parameter carries one."""
    properties = cluster()

    assert properties["ManageMasterUserPassword"] is True
    assert "MasterUserPassword" not in properties
    assert not any(each.get("NoEcho") for each in load_template(ROOT / "infra/database.yaml")["Parameters"].values())


def test_database_is_encrypted_with_the_given_key_throughout() -> None:
    """Storage, the owner's secret, insights and logs have the same key."""
    resolved = database(KeyArn=KEY)
    properties = of_type(resolved, "AWS::RDS::DBCluster")["Cluster"]

    keys = {
        properties["KmsKeyId"],
        properties["MasterUserSecret"]["KmsKeyId"],
        properties["PerformanceInsightsKmsKeyId"],
        of_type(resolved, "AWS::Logs::LogGroup")["LogGroup"]["KmsKeyId"],
    }

    assert keys == {KEY}


def test_database_is_encrypted_without_a_key_of_our_own() -> None:
    """A key of AWS's own serves when none is given."""
    assert cluster()["StorageEncrypted"] is True
    assert "KmsKeyId" not in cluster()


def test_database_is_hard_to_lose() -> None:
    """It is protected from deletion, leaves a snapshot behind and can be restored to any second of two weeks."""
    resource = database()["Resources"]["Cluster"]

    assert resource["Properties"]["DeletionProtection"] == "true"
    assert int(resource["Properties"]["BackupRetentionPeriod"]) >= 14
    assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == "Snapshot"


def test_database_takes_tls_alone() -> None:
    """Cluster and proxy refuse a connection in the clear."""
    resolved = database()

    assert of_type(resolved, "AWS::RDS::DBClusterParameterGroup")["ClusterParameters"]["Parameters"][
        "rds.force_ssl"
    ] == ("1")
    assert of_type(resolved, "AWS::RDS::DBProxy")["RdsProxy"]["RequireTLS"] is True


def test_database_parameter_groups_fit_the_engine() -> None:
    """The family follows the major version."""
    resolved = database(EngineVersion="16.11")

    assert (
        of_type(resolved, "AWS::RDS::DBClusterParameterGroup")["ClusterParameters"]["Family"] == "aurora-postgresql16"
    )
    assert of_type(resolved, "AWS::RDS::DBParameterGroup")["InstanceParameters"]["Family"] == "aurora-postgresql16"


def test_database_proxy_holds_no_secret() -> None:
    """Tokens of IAM serve on both of its sides, so it has no secret to read."""
    proxy = of_type(database(), "AWS::RDS::DBProxy")["RdsProxy"]

    assert proxy["DefaultAuthScheme"] == "IAM_AUTH"
    assert "Auth" not in proxy


def test_database_proxy_logs_in_as_the_app_role_alone() -> None:
    """An attacker who controls the proxy does not own the schema."""
    [statement] = policy_statements(of_type(database(), "AWS::IAM::Role")["ProxyRole"])

    assert statement["Action"] == "rds-db:connect"
    assert statement["Resource"]["Fn::Sub"].endswith(":dbuser:${Cluster.DBClusterResourceId}/decant_app")


@pytest.mark.parametrize(
    ("proxy", "sources", "way_of_functions"),
    [
        pytest.param("true", [{"Ref": "ProxySecurityGroup"}], "ProxySecurityGroup", id="with a proxy"),
        pytest.param("false", ["sg-functions"], "ClusterSecurityGroup", id="without"),
    ],
)
def test_database_is_reached_by_the_migration_and_one_other(
    proxy: str, sources: list[Any], way_of_functions: str
) -> None:
    """Functions come through the proxy where there is one, else directly; all others have no access."""
    resolved = database(Proxy=proxy)
    groups = of_type(resolved, "AWS::EC2::SecurityGroup")
    ways = of_type(resolved, "AWS::EC2::SecurityGroupEgress")

    reached_by = [rule["SourceSecurityGroupId"] for rule in groups["ClusterSecurityGroup"]["SecurityGroupIngress"]]

    assert reached_by == ["sg-migration", *sources]
    assert ways["FunctionsToDatabase"]["DestinationSecurityGroupId"] == {"Ref": way_of_functions}


@pytest.mark.parametrize(
    ("proxy", "subject"), [pytest.param("true", "${Id}", id="proxy"), pytest.param("false", "${Cluster.", id="cluster")]
)
def test_database_says_what_functions_connect_to(proxy: str, subject: str) -> None:
    """The permission to connect names the proxy where there is one, else the cluster, and the app role."""
    value = database(Proxy=proxy)["Outputs"]["ConnectArn"]["Value"]["Fn::Sub"]

    arn = value if isinstance(value, str) else value[0]

    assert f":dbuser:{subject}" in arn
    assert arn.endswith("/decant_app")


def test_database_limits_statements_for_clients_of_the_proxy() -> None:
    """The proxy refuses a client's statement_timeout, so it sets one itself."""
    [targets] = of_type(database(StatementTimeoutMs=5000), "AWS::RDS::DBProxyTargetGroup").values()

    assert targets["ConnectionPoolConfigurationInfo"]["InitQuery"] == "SET statement_timeout = 5000"


def test_database_at_zero_pauses() -> None:
    """Capacity 0 has a time until the pause; any other has none."""
    asleep = cluster(MinCapacity=0, Proxy="false")["ServerlessV2ScalingConfiguration"]

    assert asleep["SecondsUntilAutoPause"] == "600"
    assert "SecondsUntilAutoPause" not in cluster()["ServerlessV2ScalingConfiguration"]


def test_database_standby_takes_over_at_once_or_is_not_there() -> None:
    """A standby of tier 1 scales with the writer; one instance alone has none."""
    assert of_type(database(), "AWS::RDS::DBInstance")["Standby"]["PromotionTier"] == 1
    assert of_type(database(Instances=1), "AWS::RDS::DBInstance").keys() == {"Writer"}


def test_database_log_group_is_the_one_that_rds_writes() -> None:
    """RDS chooses the name; the group is created first, with a retention."""
    group = of_type(database(Identifier="decant-prod"), "AWS::Logs::LogGroup")["LogGroup"]

    assert group["LogGroupName"] == "/aws/rds/cluster/decant-prod/postgresql"
    assert group["RetentionInDays"] > 0
