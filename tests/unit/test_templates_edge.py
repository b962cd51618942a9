"""infra/edge.yaml: what may stand before the API."""

import json
import re
from typing import Any

import pytest

from tests.stacks import of_type, stack


def edge(**parameters: Any) -> dict[str, Any]:
    """The stack before one API."""
    return stack("edge", RestApiId="api", StageName="prod", **parameters)


def rules(**parameters: Any) -> dict[str, dict[str, Any]]:
    """The firewall's rules, by name."""
    [acl] = of_type(edge(Waf="true", **parameters), "AWS::WAFv2::WebACL").values()
    return {each["Name"]: each for each in acl["Rules"]}


def test_edge_is_empty_by_default() -> None:
    """Each part comes by its own switch."""
    assert edge()["Resources"] == {}


def test_edge_turns_away_who_asks_too_often() -> None:
    """An address over the limit gets 429."""
    rate = rules(WafRate=100)["rate"]

    assert rate["Statement"]["RateBasedStatement"] == {"Limit": "100", "AggregateKeyType": "IP"}
    assert rate["Action"]["Block"]["CustomResponse"]["ResponseCode"] == 429


@pytest.mark.parametrize(("tokens", "caller"), [("true", "CUSTOM_KEYS"), ("false", "IP")])
def test_edge_limits_each_caller_of_expensive_routes(tokens: str, caller: str) -> None:
    """Requests for expensive routes are counted per token, or per address where there are no tokens."""
    statement = rules(Tokens=tokens, CallerRate=20)["callers"]["Statement"]["RateBasedStatement"]

    assert (statement["Limit"], statement["AggregateKeyType"]) == ("20", caller)
    assert statement["EvaluationWindowSec"] == 60
    assert ("CustomKeys" in statement) is (tokens == "true")


def test_edge_says_when_a_caller_may_come_back() -> None:
    """The firewall's response to a caller over its limit is a problem document with Retry-After."""
    response = rules()["callers"]["Action"]["Block"]["CustomResponse"]
    [acl] = of_type(edge(Waf="true"), "AWS::WAFv2::WebACL").values()

    assert response["ResponseCode"] == 429
    assert response["ResponseHeaders"] == [{"Name": "retry-after", "Value": "60"}]
    assert json.loads(acl["CustomResponseBodies"][response["CustomResponseBodyKey"]]["Content"])["status"] == 429


def test_edge_turns_away_bodies_that_are_no_json() -> None:
    """Only a body counts: a request without one needs no content type."""
    statements = rules()["content-type"]["Statement"]["AndStatement"]["Statements"]

    assert statements[0]["SizeConstraintStatement"]["ComparisonOperator"] == "GT"
    accepted = re.compile(statements[1]["NotStatement"]["Statement"]["RegexMatchStatement"]["RegexString"])
    assert all(map(accepted.match, ("application/json; charset=utf-8", "application/merge-patch+json")))
    assert not any(map(accepted.match, ("text/plain", "text/json", "multipart/form-data; x=application/json")))


def test_edge_rules_come_one_after_another() -> None:
    """No two have the same priority, and what is cheap comes first."""
    assert [each["Priority"] for each in rules().values()] == list(range(len(rules())))


def test_edge_firewall_stands_before_the_stage() -> None:
    """It is tied to the API's stage, and not just made."""
    [tie] = of_type(edge(Waf="true"), "AWS::WAFv2::WebACLAssociation").values()

    assert tie["ResourceArn"] == "arn:aws:apigateway:eu-west-1::/restapis/api/stages/prod"


def test_edge_logs_what_the_firewall_blocks() -> None:
    """Blocked and counted requests are logged, without tokens and keys, in a group of the stage's name."""
    resolved = edge(Waf="true", LogDays=30)
    [group] = of_type(resolved, "AWS::Logs::LogGroup").values()
    [logging] = of_type(resolved, "AWS::WAFv2::LoggingConfiguration").values()

    assert (group["LogGroupName"], group["RetentionInDays"]) == ("aws-waf-logs-app", "30")
    assert {each["SingleHeader"]["Name"] for each in logging["RedactedFields"]} == {"authorization", "x-api-key"}
    assert {each["ActionCondition"]["Action"] for each in logging["LoggingFilter"]["Filters"][0]["Conditions"]} == {
        "BLOCK",
        "COUNT",
    }


def test_edge_domain_takes_modern_tls_alone() -> None:
    """And it has a DNS record where the zone is in the account."""
    resolved = edge(DomainName="api.example.com", CertificateArn="arn:aws:acm:::certificate/1", HostedZoneId="Z1")

    assert of_type(resolved, "AWS::ApiGateway::DomainName")["Domain"]["SecurityPolicy"] == "TLS_1_2"
    assert of_type(resolved, "AWS::Route53::RecordSet")["DomainRecord"]["Name"] == "api.example.com"


def test_edge_keys_have_a_rate_and_a_quota() -> None:
    """The first key is in the plan."""
    resolved = edge(ApiKeys="true", ApiKeyRate=5, ApiKeyDailyQuota=1000, ApiKeyCallerRate=0.2, CallerRate=20)

    [plan] = of_type(resolved, "AWS::ApiGateway::UsagePlan").values()
    assert plan["Throttle"]["RateLimit"] == "5"
    assert plan["ApiStages"][0]["Throttle"]["/users/POST"] == {"RateLimit": "0.2", "BurstLimit": "20"}
    assert plan["Quota"] == {"Limit": "1000", "Period": "DAY"}
    assert of_type(resolved, "AWS::ApiGateway::UsagePlanKey")["ApiKeyInPlan"]["KeyId"] == {"Ref": "ApiKey"}
