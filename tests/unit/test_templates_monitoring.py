"""infra/monitoring.yaml: its alarms and its dashboard."""

import json
from typing import Any

import pytest

from tests.stacks import of_type, stack

WATCHED = {
    "ApiName": "decant-prod",
    "StageName": "prod",
    "SweeperFunctionName": "decant-TaskSweeper-3",
    "DeadLettersName": "dead",
    "DeadLettersUrl": "https://sqs.eu-west-1.amazonaws.com/123456789012/dead",
    "ClusterIdentifier": "decant-prod",
    "ProxyName": "decant-prod",
}


TOPIC = "arn:aws:sns:eu-west-1:123456789012:topic"


def monitoring(**parameters: Any) -> dict[str, Any]:
    """The stack, with everything there to be watched."""
    return stack("monitoring", **{**WATCHED, "MonthlyBudget": 100, "Email": "a@example.com", **parameters})


def alarms() -> dict[str, dict[str, Any]]:
    """Its alarms, and those of a queue and of a function without a route."""
    function = stack("function-alarms", FunctionName="decant-TaskSweeper-1", TopicArn=TOPIC)
    stacks = (monitoring(), function, stack("queue", QueueName="tasks", QueueUrl="q", TopicArn=TOPIC))
    return {name: alarm for each in stacks for name, alarm in of_type(each, "AWS::CloudWatch::Alarm").items()}


def metrics(alarm: dict[str, Any]) -> list[dict[str, Any]]:
    """The metrics that an alarm watches, in any notation."""
    if "MetricName" in alarm:
        return [alarm]
    return [each["MetricStat"]["Metric"] for each in alarm["Metrics"] if "MetricStat" in each]


@pytest.mark.parametrize(
    ("name", "metric", "threshold"), [("RouteErrors", '"5XXError"', "0.05"), ("RouteLatency", "Latency", "3000")]
)
def test_monitoring_evaluates_each_route(name: str, metric: str, threshold: str) -> None:
    """One alarm on a Metrics Insights query has a contributor for each method of the API and no others."""
    alarm = of_type(monitoring(), "AWS::CloudWatch::Alarm")[name]
    [query] = alarm["Metrics"]

    selected, of_routes = query["Expression"].split(" FROM ")
    assert selected == f"SELECT AVG({metric})"
    assert of_routes == (
        'SCHEMA("AWS/ApiGateway", ApiName, Method, Resource, Stage) '
        "WHERE ApiName = 'decant-prod' AND Stage = 'prod' GROUP BY Method, Resource ORDER BY AVG() DESC"
    )
    assert (query["Period"], alarm["Threshold"]) == (60, threshold)


def test_monitoring_tells_one_topic_of_each_alarm_and_its_end() -> None:
    """Every alarm has a recipient."""
    heard = [each["AlarmActions"] for each in alarms().values()]

    assert all(topics in ([{"Ref": "Topic"}], [TOPIC]) for topics in heard)
    assert all(each["AlarmActions"] == each["OKActions"] for each in alarms().values())


def test_monitoring_watches_metrics_that_services_have() -> None:
    """A name with a slip of the pen would never alarm."""
    known = {
        "AWS/ApiGateway": {"5XXError", "Count", "Latency"},
        "AWS/Lambda": {"Errors", "Invocations", "Throttles", "Duration"},
        "AWS/SQS": {"ApproximateAgeOfOldestMessage", "ApproximateNumberOfMessagesVisible", "NumberOfMessagesReceived"},
        "AWS/RDS": {"DatabaseConnections", "ACUUtilization", "DatabaseConnectionsCurrentlySessionPinned"},
    }

    looked_at = [metric for alarm in alarms().values() for metric in metrics(alarm)]

    assert all(each["MetricName"] in known[each["Namespace"]] for each in looked_at)
    assert all(dimension["Value"] for each in looked_at for dimension in each["Dimensions"])


@pytest.mark.parametrize("name", ["FewErrors", "ApiFewErrors"])
def test_monitoring_notices_failures_of_a_stage_with_little_traffic(name: str) -> None:
    """Two failures an hour raise an alarm when they are a large share, however few requests there are."""
    alarm = alarms()[name]
    [share] = [each["Expression"] for each in alarm["Metrics"] if "Expression" in each]
    periods = {each["MetricStat"]["Period"] for each in alarm["Metrics"] if "MetricStat" in each}

    assert share.startswith("IF(errors >= 2, 100 * errors / ")
    assert periods == {3600}
    assert alarm["EvaluationPeriods"] == 1


def test_monitoring_notices_dead_letters_that_are_taken_away_at_once() -> None:
    """The function that closes their tasks leaves none to be seen a minute later."""
    alarm = alarms()["DeadLetters"]

    assert {each["MetricName"] for each in metrics(alarm)} == {
        "NumberOfMessagesReceived",
        "ApproximateNumberOfMessagesVisible",
    }
    assert alarm["Threshold"] == 0


def test_monitoring_takes_silence_of_the_sweeper_for_an_alarm() -> None:
    """A stopped sweeper sends no data, which breaches the alarm."""
    assert alarms()["SweeperSilent"]["TreatMissingData"] == "breaching"
    assert all(each["TreatMissingData"] == "notBreaching" for name, each in alarms().items() if name != "SweeperSilent")


def test_monitoring_watches_nothing_that_is_not_there() -> None:
    """Without sweeper, cluster, proxy, mail and budget, none of their resources is made."""
    bare = monitoring(SweeperFunctionName="", ClusterIdentifier="", ProxyName="", MonthlyBudget=0, Email="")

    assert not {
        "SweeperSilent",
        "DatabaseConnections",
        "DatabaseCapacity",
        "DatabasePinning",
        "Budget",
        "EmailSubscription",
    } & set(bare["Resources"])


def test_monitoring_topic_takes_alarms_and_budgets_of_this_account_alone() -> None:
    """Other services and accounts can neither send nor read alarms."""
    [policy] = of_type(monitoring(), "AWS::SNS::TopicPolicy").values()

    [statement] = [each for each in policy["PolicyDocument"]["Statement"] if each["Effect"] == "Allow"]

    assert statement["Action"] == "sns:Publish"
    assert set(statement["Principal"]["Service"]) == {"cloudwatch.amazonaws.com", "budgets.amazonaws.com"}
    assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": "123456789012"}}


def test_monitoring_dashboard_has_all_four_on_one_page() -> None:
    """It is a document that CloudWatch can read, and no widget lies over another."""
    [dashboard] = of_type(monitoring(), "AWS::CloudWatch::Dashboard").values()

    widgets = json.loads(dashboard["DashboardBody"])["widgets"]

    assert {each["properties"]["title"].split()[0].rstrip(":") for each in widgets} == {
        "API",
        "Functions",
        "Tasks",
        "Database",
        "Cost",
    }
    assert len({(each["x"], each["y"]) for each in widgets}) == len(widgets)
    assert max(each["x"] + each["width"] for each in widgets) == 24


def test_monitoring_dashboard_finds_queues_by_the_name_of_the_stack() -> None:
    """A queue that is added to the template appears on the dashboard."""
    [dashboard] = of_type(monitoring(Name="decant-prod"), "AWS::CloudWatch::Dashboard").values()

    rows = [
        row[0]["expression"]
        for each in json.loads(dashboard["DashboardBody"])["widgets"]
        if each["properties"]["title"].startswith("Tasks: ") and "Metrics=1" not in each["properties"]["title"]
        for row in each["properties"]["metrics"]
    ]

    assert len(rows) == 3
    assert all(row.startswith("SEARCH('{AWS/SQS,QueueName}") and '"decant-prod"' in row for row in rows)


def test_monitoring_dashboard_plots_the_metrics_of_the_application() -> None:
    """Each metric that the library records is searched by the dimensions with which it is recorded."""
    [dashboard] = of_type(monitoring(Service="shop"), "AWS::CloudWatch::Dashboard").values()
    recorded = {
        "Requests": "route,stage,status",
        "TaskRuns": "stage,task",
        "TaskRetries": "stage,task",
        "TaskFailures": "stage,task",
        "QueueAge": "queue,stage",
    }

    rows = [
        row[0]["expression"]
        for each in json.loads(dashboard["DashboardBody"])["widgets"]
        if "Metrics=1" in each["properties"]["title"]
        for row in each["properties"]["metrics"]
    ]

    assert [row.partition(" stage=")[0] for row in rows] == [
        f'SEARCH(\'{{shop,{dimensions}}} MetricName="{name}"' for name, dimensions in recorded.items()
    ]


def test_monitoring_budget_warns_before_and_when_it_is_spent() -> None:
    """A forecast over the whole, and four fifths spent, both reach the topic."""
    [budget] = of_type(monitoring(), "AWS::Budgets::Budget").values()

    notified = {
        (each["Notification"]["NotificationType"], each["Notification"]["Threshold"])
        for each in budget["NotificationsWithSubscribers"]
    }

    assert notified == {("FORECASTED", 100), ("ACTUAL", 80)}
