"""template.yaml as it would be deployed: its guards, its gate, and what of it a laptop gets."""

import json
from typing import Any

import pytest

from decant.db import migrations
from decant_cloud.checks.callers import OPEN
from decant_cloud.template.model import Template
from decant_cloud.template.stage import Stage, read_stage
from tests.sample.bundle import sample_bundle
from tests.stages import prod


def api(stage: Stage) -> dict[str, Any]:
    """The API's own description of its routes."""
    [each] = stage.of_type("AWS::ApiGateway::RestApi").values()
    body: dict[str, Any] = each["Body"]
    return body


def api_stage(stage: Stage) -> dict[str, Any]:
    """The stage that the API is deployed to."""
    [each] = stage.of_type("AWS::ApiGateway::Stage").values()
    return each


@pytest.mark.parametrize("database", ["aurora", "secret"])
def test_bundle_has_no_secret_in_plain_variables(database: str) -> None:
    """Outside stage local, addresses hold no password and nothing else looks like a key."""
    arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:decant"
    stage = prod(Database=database, **({"DatabaseSecretArn": arn} if database == "secret" else {}))

    variables = [(name, value) for each in stage.functions() for name, value in each.variables.items()]

    logins = [str(value).partition("://")[2].rpartition("@")[0] for name, value in variables if name == "DATABASE_URL"]
    assert not any(":" in login for login in logins)
    assert not any(word in name for name, _ in variables for word in ("PASSWORD", "TOKEN", "KEY"))


@pytest.mark.parametrize(
    ("changed", "functions", "migration"),
    [
        pytest.param({}, "", "/opt/python/decant/db/rds-roots.pem", id="proxy"),
        pytest.param(
            {"DatabaseProxy": "false"},
            "/opt/python/decant/db/rds-roots.pem",
            "/opt/python/decant/db/rds-roots.pem",
            id="cluster",
        ),
        pytest.param(
            {"Database": "secret", "DatabaseCaFile": "/opt/python/a.pem"}, *["/opt/python/a.pem"] * 2, id="own file"
        ),
    ],
)
def test_bundle_trusts_who_vouches_for_the_database(changed: dict[str, str], functions: str, migration: str) -> None:
    """Public authorities for a proxy, RDS's own for a cluster, which the migration always meets itself."""
    trusted = {each.logical_id: each.variables["DATABASE_CA_FILE"] for each in prod(**changed).functions()}

    assert trusted.pop("Migrate") == migration
    assert set(trusted.values()) == {functions}


def test_bundle_encrypts_queues_logs_and_alarms_with_one_key_of_its_own() -> None:
    """What is at rest is under a key that turns over by itself."""
    stage = prod()
    key = {"Fn::GetAtt": ["Key", "Outputs.Arn"]}

    assert all(each["KmsMasterKeyId"] == key for each in stage.of_type("AWS::SQS::Queue").values())
    assert stage.of_type("AWS::KMS::Key", "Key")["Key"]["EnableKeyRotation"] is True
    for nested in ("Access", "Network", "Cluster", "Monitoring"):
        parameters = stage.of_type("AWS::CloudFormation::Stack")[nested]["Parameters"]
        assert parameters["KeyArn"] == key


def test_bundle_queues_and_topics_are_reached_over_tls_alone() -> None:
    """Every queue and every topic denies requests that are not encrypted, to every principal."""
    stage = prod()
    policies = [
        policy
        for nested in stage.stacks
        for kind in ("AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy")
        for policy in stage.of_type(kind, nested).values()
    ]

    closed = [
        reference
        for policy in policies
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Deny" and statement["Principal"] == "*"
        if statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        for reference in policy.get("Queues", policy.get("Topics", []))
    ]

    assert sorted(map(str, closed)) == sorted(
        str({"Ref": name})
        for name in [*stage.of_type("AWS::SQS::Queue"), *stage.of_type("AWS::SNS::Topic", "Monitoring")]
    )


def test_bundle_queues_have_one_dead_letter_queue() -> None:
    """Messages of every queue that cannot be handled reach the function that completes their tasks."""
    queues = prod().of_type("AWS::SQS::Queue")
    dead_letters = {"Fn::GetAtt": ["DeadLetterQueue", "Arn"]}

    targets = [each["RedrivePolicy"]["deadLetterTargetArn"] for name, each in queues.items() if "RedrivePolicy" in each]

    assert targets == [dead_letters] * (len(queues) - 1)
    [function] = [each for each in prod().functions() if each.logical_id == "DeadLetters"]
    assert [each["EventSourceArn"] for each in function.mappings] == [dead_letters]


def test_bundle_bounds_every_event_source() -> None:
    """A flood of messages waits in its queue, and not at the database's door."""
    mappings = [mapping for each in prod().functions() for mapping in each.mappings]

    assert mappings
    assert all(int(each["ScalingConfig"]["MaximumConcurrency"]) >= 2 for each in mappings)


def test_bundle_forgets_every_log_in_time() -> None:
    """Functions write to one group; every group has a retention and the stage's key."""
    stage = prod(LogDays="30")
    groups = stage.of_type("AWS::Logs::LogGroup")

    written = {each.properties["LoggingConfig"]["LogGroup"]["Ref"] for each in stage.functions()}

    assert {*written, "AccessLogs"} == groups.keys()
    assert {each["RetentionInDays"] for each in groups.values()} == {"30"}
    assert all(each["KmsKeyId"] == {"Fn::GetAtt": ["Key", "Outputs.Arn"]} for each in groups.values())


def test_bundle_throttles_the_api() -> None:
    """One rate holds for all methods."""
    [setting] = [each for each in api_stage(prod(ApiRate="500"))["MethodSettings"] if each["HttpMethod"] == "*"]

    assert (setting["ResourcePath"], setting["ThrottlingRateLimit"]) == ("/*", "500")


def test_bundle_throttles_routes_that_there_are() -> None:
    """A slip of the pen in a path would throttle nothing."""
    stage = prod()
    routes = {(method.upper(), path) for path, methods in api(stage)["paths"].items() for method in methods}

    named = {(each["HttpMethod"], each["ResourcePath"]) for each in api_stage(stage)["MethodSettings"]} - {("*", "/*")}

    assert {(method, "/" + path[1:].replace("~1", "/").lstrip("/")) for method, path in named} <= routes


def test_bundle_writes_access_logs_as_json() -> None:
    """One object a line, with the fields that a fault is looked for by."""
    setting = api_stage(prod())["AccessLogSetting"]

    line = json.loads(setting["Format"])

    assert {"requestId", "ip", "route", "status", "latencyMs", "trace"} <= line.keys()


def test_bundle_traces_where_it_is_asked_to() -> None:
    """The API and each function take part, or none does."""
    assert api_stage(prod(Tracing="Active"))["TracingEnabled"] is True
    assert {each.properties["TracingConfig"]["Mode"] for each in prod(Tracing="Active").functions()} == {"Active"}
    assert api_stage(prod(Tracing="PassThrough"))["TracingEnabled"] is False


AUTH = {
    "jwt": {"AuthKeys": "", "AuthTokens": "Tokens", "JwtIssuer": "issuer", "JwtPublicPem": "-"},
    "keys": {},
    "public": {"AuthKeys": ""},
}
"""Parameters of each way to restrict callers, beside `Auth`."""


def with_auth(auth: str) -> Stage:
    """The production stage with another way to restrict callers."""
    return prod(Auth=auth, **AUTH[auth])


@pytest.mark.parametrize(
    ("auth", "required"), [("jwt", [{"Tokens": []}]), ("keys", [{"api_key": []}]), ("public", None)]
)
def test_bundle_restricts_every_method(auth: str, required: list[Any] | None) -> None:
    """Every method requires the same, except pages and the browser's preflight, which present nothing."""
    stage = with_auth(auth)
    methods = [
        (path, method, each.get("security"))
        for path, methods in api(stage)["paths"].items()
        for method, each in methods.items()
    ]
    pages = {(path, "get") for path in ("/docs", "/docs/{name}", "/console", "/console/{name}")}

    others = [security for path, method, security in methods if method != "options" and (path, method) not in pages]
    assert all(security == required for security in others)
    assert not any(security for _, method, security in methods if method == "options")


@pytest.mark.parametrize("auth", ["jwt", "keys", "public"])
def test_bundle_opens_its_pages_to_browsers(auth: str) -> None:
    """SAM leaves marks at the pages, and no requirement of the API: a browser opens them without headers."""
    paths = api(with_auth(auth))["paths"]

    for path in Template(sample_bundle()).open_paths():
        required = paths[path]["get"]["security"]
        assert {scheme for each in required for scheme in each} <= OPEN


@pytest.mark.parametrize("auth", AUTH)
def test_bundle_has_what_restricts_callers_and_nothing_else(auth: str) -> None:
    """The authorizer exists with tokens, the usage plan with keys."""
    stage = with_auth(auth)

    assert any(each.logical_id == "Authorizer" for each in stage.functions()) is (auth == "jwt")
    assert bool(stage.of_type("AWS::ApiGateway::UsagePlan", "Edge")) is (auth == "keys")


def test_bundle_asks_its_authorizer_once_for_a_token() -> None:
    """API Gateway caches the result, and calls the alias, which a release moves."""
    [scheme] = [each for name, each in api(with_auth("jwt"))["securityDefinitions"].items() if name == "Tokens"]

    authorizer = scheme["x-amazon-apigateway-authorizer"]

    assert (authorizer["type"], authorizer["authorizerResultTtlInSeconds"]) == ("token", 300)
    assert "AuthorizerAliaslive" in json.dumps(authorizer["authorizerUri"])


@pytest.mark.parametrize("name", ["UsersGet", "Hello"])
def test_bundle_functions_are_the_same_with_every_auth(name: str) -> None:
    """Callers are checked at the API: functions get no other layers or variables for it."""

    def function(auth: str) -> Any:
        [found] = [each for each in with_auth(auth).functions() if each.logical_id == name]
        variables = {key: value for key, value in found.variables.items() if not key.startswith("JWT_")}
        return found.properties["Layers"], variables

    assert function("jwt") == function("keys") == function("public")


def test_bundle_with_a_domain_is_served_there_alone() -> None:
    """The API's own name would lead past the domain's certificate and name."""
    stage = prod(DomainName="api.example.com", CertificateArn="arn:aws:acm:eu-west-1:123456789012:certificate/1")

    assert api(stage)["x-amazon-apigateway-endpoint-configuration"] == {"disableExecuteApiEndpoint": True}
    assert stage.stacks[""]["Outputs"]["ApiUrl"]["Value"] == "https://api.example.com"


def network_of(stage: Stage, name: str) -> Any:
    """Where one function stands: its `VpcConfig`, with the names of the network's outputs."""
    [function] = [each for each in stage.functions() if each.logical_id == name]
    return json.loads(json.dumps(function.properties.get("VpcConfig")).replace("Outputs.", ""))


@pytest.mark.parametrize("name", ["Hello", "RatesList"])
def test_bundle_keeps_functions_without_a_database_outside_the_network(name: str) -> None:
    """Outside, they reach the internet, and nothing of the network."""
    assert network_of(prod(Nat="one"), name) is None


@pytest.mark.parametrize("name", ["TasksList", "TaskWorker"])
def test_bundle_lets_functions_out_of_the_network_with_nat_alone(name: str) -> None:
    """With NAT, they have a route to the internet beside the one to the database; the migration never has one."""
    private = {"Fn::Split": [",", {"Fn::GetAtt": ["Network", "SubnetIds"]}]}
    functions, internet = ({"Fn::GetAtt": ["Network", f"{each}SecurityGroupId"]} for each in ("Functions", "Internet"))

    inside, out = network_of(prod(Nat="none"), name), network_of(prod(Nat="one"), name)

    assert (inside["SubnetIds"], inside["SecurityGroupIds"]) == (private, [functions])
    assert out["SubnetIds"] == {"Fn::Split": [",", {"Fn::GetAtt": ["Network", "OutboundSubnetIds"]}]}
    assert out["SecurityGroupIds"] == [functions, internet]
    assert network_of(prod(Nat="one"), "Migrate")["SubnetIds"] == private


def test_bundle_keeps_network_interfaces_from_the_code_of_functions() -> None:
    """What Lambda needs for a function is denied to the function."""
    allowed, denied = prod().of_type("AWS::IAM::ManagedPolicy", "Access")["NetworkPolicy"]["PolicyDocument"][
        "Statement"
    ]

    assert denied["Effect"] == "Deny"
    assert denied["Action"] == allowed["Action"]
    assert "lambda:SourceFunctionArn" in denied["Condition"]["ArnLike"]


def test_bundle_lets_no_role_beyond_the_boundary() -> None:
    """With one, every role has it, those of nested stacks too."""
    boundary = "arn:aws:iam::123456789012:policy/boundary"
    stage = prod(PermissionsBoundary=boundary)

    rolled = [role for nested in stage.stacks for role in stage.of_type("AWS::IAM::Role", nested).values()]

    assert {role.get("PermissionsBoundary") for role in rolled} == {boundary}


def test_bundle_changes_no_code_before_the_migration() -> None:
    """Every function waits for the migration, and so do its version and its alias, which refer to it."""
    resources = prod().stacks[""]["Resources"]
    functions = {name for name, each in resources.items() if each["Type"] == "AWS::Lambda::Function"}

    waiting = {name for name in functions if "Migration" in resources[name].get("DependsOn", [])}

    assert waiting == functions - {"Migrate"}


def test_bundle_migrates_to_the_newest_revisions() -> None:
    """The template names the newest migrations of the library and of the app, so that a new one runs on deployment."""
    newest = migrations.heads(sample_bundle() / "functions/migrate/versions")

    assert prod().of_type("Custom::Migration")["Migration"]["Schema"] == newest


def test_bundle_watches_its_sweeper() -> None:
    """Retries and periodic tasks wait for it, and nothing else reports that it stopped."""
    alarm = prod().of_type("AWS::CloudWatch::Alarm", "Monitoring")["SweeperSilent"]

    assert alarm["Dimensions"] == [{"Name": "FunctionName", "Value": {"Ref": "TaskSweeper"}}]


def test_bundle_lets_a_database_pause() -> None:
    """Without the sweeper no connection is opened; it is not missed, and a request waits for the database."""
    stage = prod(Sweep="false", DatabaseMinCapacity="0", DatabaseProxy="false")
    waits = {each.logical_id: float(each.variables["DATABASE_CONNECT_TIMEOUT_S"]) for each in stage.functions()}

    assert {each["State"] for each in stage.of_type("AWS::Events::Rule").values()} == {"DISABLED"}
    assert "SweeperSilent" not in stage.of_type("AWS::CloudWatch::Alarm", "Monitoring")
    assert min(waits.values()) > 15, "as long as Aurora takes to come back"


NOT_IN_THE_LOCAL_CLOUD = (
    "AWS::Budgets::",
    "AWS::CodeDeploy::",
    "AWS::KMS::",
    "AWS::RDS::",
    "AWS::Route53::",
    "AWS::WAFv2::",
)


def test_bundle_leaves_a_laptop_what_it_can_run() -> None:
    """Stage local has no resource type that the local cloud does not support, and one nested stack."""
    local = read_stage(sample_bundle(), "local", {"Stage": "local"})

    kinds = {each["Type"] for stack in local.stacks.values() for each in stack["Resources"].values()}

    assert local.stacks.keys() == {"", "Access"}
    assert not {kind for kind in kinds if kind.startswith(NOT_IN_THE_LOCAL_CLOUD)}
