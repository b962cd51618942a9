"""Stages before they are deployed: what refers to nothing, is not decided, or is allowed too much."""

import copy
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from decant_cloud.checks import callers, certificates, parameters, references, roles
from decant_cloud.checks.deploy import CHECKS, run
from decant_cloud.template.stage import Stage, configured, read_stage
from tests.loading import ROOT
from tests.stages import PROD, Check, broken, found, prod


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS.keys())
def test_check_finds_nothing_in_a_stage_that_is_right(check: Check) -> None:
    """The example that the tests below break is whole."""
    assert found(check, prod()) == ""


def test_check_says_what_a_stage_takes(capsys: pytest.CaptureFixture[str]) -> None:
    """A stage without errors prints its share of the database's and the account's limits."""
    status = run(stage="prod", overrides=["ReservedConcurrency=7", "DatabaseMaxConnections=1000"])
    out = capsys.readouterr().out

    assert status == 0
    assert re.search(
        r"^prod can be deployed: up to \d+ of 900 connections, and \d+ of the account's concurrent", out, re.MULTILINE
    )


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param(["staging"], "error: samconfig.toml has no stage staging\n", id="no stage"),
        pytest.param(["prod", "Wav=true"], "error: the template has no parameter Wav\n", id="no parameter"),
        pytest.param(["prod", "Waf=yes"], "error: parameters: Waf 'yes' is none of true, false\n", id="a breach"),
    ],
)
def test_check_fails_with_a_line_for_each_breach(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The deployment that would come next is not begun."""
    stage, *overrides = arguments

    assert (run(stage=stage, overrides=overrides), capsys.readouterr().err) == (1, expected)


def watching(dimension: dict[str, Any]) -> Stage:
    """The stage with an alarm that watches something else."""
    return broken("DefaultQueueStack.Age", Dimensions=[dimension])


@pytest.mark.parametrize(
    ("stage", "expected"),
    [
        pytest.param(
            lambda: watching({"Name": "QueueName", "Value": {"Fn::GetAtt": ["Gone", "QueueName"]}}),
            "DefaultQueueStack.Age: it watches AWS/SQS QueueName",
            id="a queue that is gone",
        ),
        pytest.param(
            lambda: watching({"Name": "QueueName", "Value": "default"}), "which is not there", id="a name by heart"
        ),
        pytest.param(
            lambda: broken("Monitoring.ApiLatency", Dimensions=[{"Name": "Stage", "Value": "dev"}]),
            "Stage dev, which is not this stage's",
            id="another stage",
        ),
        pytest.param(
            lambda: broken("RatesList", VpcConfig={"Fn::GetAtt": ["Network", "Outputs.InternetSecurityGroupId"]}),
            "RatesList: Network has no output InternetSecurityGroupId with these parameters",
            id="an output that has its condition",
        ),
        pytest.param(
            lambda: broken("TaskWorkerAlarms.Errors", Metrics=[]), "", id="other alarms still watch the function"
        ),
    ],
)
def test_references_lead_somewhere(stage: Callable[[], Stage], expected: str) -> None:
    """An alarm that watches nothing, and an output that is not there, are found."""
    assert expected in found(references.breaches, stage())


def test_functions_without_an_alarm_are_named() -> None:
    """A function without a route needs alarms of its own."""
    stacks = {name: each for name, each in prod().stacks.items() if name != "TaskWorkerAlarms"}

    assert found(references.breaches, replace(prod(), stacks=stacks)) == "TaskWorker: no alarm watches it"


def test_routes_without_an_alarm_are_named() -> None:
    """One alarm evaluates every route of the API; the alarm of another API evaluates none of them."""
    query = prod().of_type("AWS::CloudWatch::Alarm", "Monitoring")["RouteErrors"]["Metrics"][0]
    other = {**query, "Expression": query["Expression"].replace("decant-prod", "decant-dev")}

    lines = found(references.breaches, broken("Monitoring.RouteErrors", Metrics=[other])).splitlines()

    routes = {each.logical_id for each in prod().functions() if each.has_route}
    assert set(lines) == {f"{name}: no alarm watches it" for name in routes}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        pytest.param({"Database": "mysql"}, "Database 'mysql' is none of url, secret, aurora", id="not allowed"),
        pytest.param({"AlarmEmail": "ops"}, "AlarmEmail 'ops' does not look like", id="no pattern"),
        pytest.param({"ApiRate": "0"}, "ApiRate 0 is not between 1", id="too small"),
        pytest.param({"ApiRate": "much"}, "ApiRate 'much' is no number", id="no number"),
        pytest.param(
            {"Database": "url", "DatabaseUrl": "postgresql+asyncpg://a:b@c/d"},
            "StagesAtAws: DatabaseUrl is for stage local alone",
            id="a password in the clear",
        ),
        pytest.param({"DatabaseMinCapacity": "0"}, "never comes to a pause while the sweeper", id="sleepless"),
        pytest.param({"Auth": "", "AuthKeys": ""}, "StagesAtAws: Auth is not set", id="no callers"),
        pytest.param({"Auth": "public"}, "Set AuthKeys=true with Auth=keys, and with no other value", id="no keys"),
        pytest.param({"AuthKeys": ""}, "Set AuthKeys=true with Auth=keys, and with no other value", id="keys"),
        pytest.param({"Auth": "jwt"}, "Set AuthTokens=Tokens with Auth=jwt, and with no other value", id="tokens"),
        pytest.param({"Auth": "jwt"}, "Auth=jwt needs JwtIssuer", id="no issuer"),
        pytest.param({"Database": "secret"}, "Database=secret needs DatabaseSecretArn", id="no secret"),
    ],
)
def test_parameters_are_looked_at(changed: dict[str, str], expected: str) -> None:
    """A value that CloudFormation would refuse is found before."""
    assert expected in found(parameters.breaches, prod(**changed))


def test_stage_without_its_tag_is_named() -> None:
    """The policies of the pipeline would not protect its resources from other stages of the account."""
    untagged = replace(prod(), tags={})

    assert found(parameters.breaches, untagged).startswith("the stack has no tag stage=prod")


PUBLIC = {"Auth": "public", "AuthKeys": "", "WorkerConcurrency": "10"}


def test_callers_of_a_public_stage_are_listed_with_the_load_that_fills_it() -> None:
    """Routes that require a scope are not listed; the others are, with the calculation."""
    lines = list(callers.anonymous(prod(**PUBLIC)))

    assert (
        "POST /users: anonymous callers can fill it; 50 environments, filled by 2 requests/s of 25 s; "
        "TaskWorker has 10 environments x 10 tasks = 100 slots, filled by 0.83 requests/s of 120 s; "
        "at most 30 requests a minute of a caller"
    ) in lines
    assert any(line.startswith("GET /users/{user_id}: anonymous callers can read and fill it") for line in lines)
    assert not any("/queues" in line for line in lines)


@pytest.mark.parametrize("auth", ["keys", "jwt"])
def test_callers_of_a_private_stage_are_not_listed(auth: str) -> None:
    """Only a public stage offers routes to everybody, beside pages."""
    tokens = {"Auth": "jwt", "AuthTokens": "Tokens", "AuthKeys": "", "JwtIssuer": "issuer", "JwtPublicPem": "-"}

    routes = {line.partition(":")[0] for line in callers.anonymous(prod(**(tokens if auth == "jwt" else {})))}

    assert routes == {"GET /docs", "GET /docs/{name}", "GET /console", "GET /console/{name}"}


def test_open_routes_of_a_private_stage_are_listed() -> None:
    """A route that needs neither key nor token is offered to everybody."""
    body = copy.deepcopy(prod().of_type("AWS::ApiGateway::RestApi")["Api"]["Body"])
    body["paths"]["/hello"]["get"]["security"] = [{"NONE": []}]

    lines = callers.anonymous(broken("Api", Body=body))

    assert any(line.startswith("GET /hello: anonymous callers can read and fill it") for line in lines)


def test_callers_without_a_limit_of_their_own_are_named() -> None:
    """Without keys, only the firewall limits callers separately."""
    assert found(callers.breaches, prod(**PUBLIC, Waf="false")).startswith("Auth=public without Waf=true")


@pytest.mark.parametrize(
    ("stage", "expected"),
    [
        pytest.param(
            lambda: broken("Edge.ApiUsagePlan", ApiStages=[{"Throttle": {"/tasks/GET": {}}}]),
            "POST /users has limit_per_caller and is not in ApiUsagePlan",
            id="usage plan",
        ),
        pytest.param(
            lambda: broken("Edge.WebAcl", Rules=[callers_rule("/(users|hello)$")]),
            "GET /hello is in WebAcl of infra/edge.yaml, and its view has no limit_per_caller",
            id="firewall",
        ),
        pytest.param(lambda: prod(CallerRate="5"), "CallerRate 5 is below 10", id="rate"),
    ],
)
def test_expensive_routes_are_those_that_the_edge_limits(stage: Callable[[], Stage], expected: str) -> None:
    """A view with the decorator and the lists of the edge stack name the same routes."""
    assert expected in found(callers.breaches, stage())


def callers_rule(paths: str) -> dict[str, Any]:
    """The firewall's rule for expensive routes, for these paths."""
    scope = {"RegexMatchStatement": {"RegexString": paths}}
    return {"Name": "callers", "Statement": {"RateBasedStatement": {"ScopeDownStatement": scope}}}


@pytest.mark.parametrize("name", [*parameters.DECISIONS, *parameters.AURORA_DECISIONS])
def test_parameters_of_production_are_all_set(name: str) -> None:
    """Required decisions have no default."""
    given = {key: value for key, value in PROD.items() if key != name}

    assert f"{name} is not set" in found(parameters.breaches, read_stage(ROOT, "prod", given))


def test_certificates_that_are_not_in_the_layer_are_named(tmp_path: Path) -> None:
    """Without them the migration, which connects without the proxy, could not verify the database's certificate."""
    stage = replace(prod(), folder=tmp_path)
    (tmp_path / "shared").mkdir()
    missing = list(certificates.breaches(stage))

    (tmp_path / "shared/rds-roots.pem").touch()

    assert [line.partition(",")[0] for line in missing] == ["shared/rds-roots.pem does not exist"]
    assert list(certificates.breaches(stage)) == []


def test_check_deploy_requires_certificates_for_a_deployment_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """A configuration can be checked before the file is downloaded; a deployment without it is refused."""
    present = (ROOT / "shared/rds-roots.pem").is_file()

    assert run(stage="prod") == 0
    assert (run(stage="prod", strict=True) == 0) is present
    assert ("missing: shared/rds-roots.pem" in capsys.readouterr().out) is not present


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        pytest.param({"Action": "sqs:*", "Resource": "arn"}, "it allows every action of sqs:*", id="any action"),
        pytest.param(
            {"Action": ["sqs:SendMessage"], "Resource": "*"}, "it allows sqs:SendMessage on every resource", id="any"
        ),
    ],
)
def test_roles_with_a_wildcard_are_named(statement: dict[str, Any], expected: str) -> None:
    """Each permission names what it is for."""
    policy = {"PolicyName": "p", "PolicyDocument": {"Statement": [{"Effect": "Allow", **statement}]}}

    assert f"Access.DatabaseRole, p: {expected}" in found(
        roles.breaches, broken("Access.DatabaseRole", Policies=[policy])
    )


def test_roles_with_a_policy_of_others_are_named() -> None:
    """AWS's own policies allow what any function might use."""
    stage = broken("Access.PlainRole", ManagedPolicyArns=["arn:aws:iam::aws:policy/AdministratorAccess"])

    assert "AdministratorAccess is a policy of AWS's own" in found(roles.breaches, stage)


@pytest.mark.parametrize(
    ("function", "role", "expected"),
    [
        pytest.param("UsersGet", "Plain", "UsersGet: it imports decant.db (users_get/app.py)", id="database"),
        pytest.param(
            "RatesList", "Database", "RatesList: Access.DatabaseRole is for functions that use the", id="none"
        ),
        pytest.param(
            "UsersCreate", "Worker", "UsersCreate: Access.WorkerRole allows to receive messages", id="no queue"
        ),
        pytest.param("TaskWorker", "Tasks", "TaskWorker: Access.TasksRole does not allow to receive", id="queue"),
    ],
)
def test_functions_with_the_role_of_others_are_named(function: str, role: str, expected: str) -> None:
    """Functions share a role when they need the same access."""
    stage = broken(function, Role={"Fn::GetAtt": ["Access", f"Outputs.{role}RoleArn"]})

    assert found(roles.breaches, stage).startswith(expected)


def test_stage_takes_both_ways_to_write_parameters(tmp_path: Path) -> None:
    """SAM takes a list or one line; what `sam deploy` alone gets wins."""
    (tmp_path / "samconfig.toml").write_text(
        '[dev.global.parameters]\nparameter_overrides = ["Stage=dev", "Waf=false"]\n'
        "[dev.deploy.parameters]\nparameter_overrides = \"Waf=true AlarmEmail='a@b.c'\"\n"
    )

    assert configured(tmp_path, "dev") == {"Stage": "dev", "Waf": "true", "AlarmEmail": "a@b.c"}


@pytest.mark.parametrize(
    ("written", "database"),
    [
        pytest.param(True, {"DatabaseUrl": "postgresql+asyncpg://a:b@c/d"}, id="up runs"),
        pytest.param(False, {}, id="not"),
    ],
)
def test_stage_reads_parameters_of_files(tmp_path: Path, written: bool, database: dict[str, str]) -> None:  # noqa: FBT001
    """The database's address, which contains a password, is in a file of the local cloud and not in samconfig.toml."""
    (tmp_path / "samconfig.toml").write_text(
        '[local.deploy.parameters]\nparameter_overrides = ["Stage=local", "file://local.yaml"]\n'
    )
    if written:
        (tmp_path / "local.yaml").write_text('{"DatabaseUrl": "postgresql+asyncpg://a:b@c/d"}')

    assert configured(tmp_path, "local") == {"Stage": "local", **database}


def test_samconfig_contains_no_password() -> None:
    """Of the local database, too, there is neither an address nor a password."""
    assert "://postgres" not in (ROOT / "samconfig.toml").read_text()
