"""docs/production.md: its sums come from its prices, and what it says is tested is."""

import re
from collections.abc import Callable

import pytest

from decant_cloud.template.stage import configured, read_stage
from tests.loading import ROOT

PAGE = (ROOT / "docs/production.md").read_text()

RATES = (0, 1, 100, 1000)
"""Requests a second, a column each."""

CAPACITY_ACU = {0: 1, 1: 1, 100: 4, 1000: 16}
HOURS = 730
MINUTES = HOURS * 60
MILLION_SECONDS = HOURS * 3600 / 1e6


def rows(heading: str) -> dict[str, list[str]]:
    """The cells of the table under a heading, by what its rows begin with."""
    table = re.search(rf"^\| {re.escape(heading)} \|.*?(?=\n\n)", PAGE, re.MULTILINE | re.DOTALL)
    assert table is not None
    cells = [line.strip("|").split("|") for line in table[0].splitlines()[2:]]
    return {first.strip(" *"): [each.strip(" *") for each in others] for first, *others in cells}


def prices(what: str) -> list[float]:
    """The figures of one line of the price list."""
    return [
        float(each.replace(",", "")) for each in re.findall(r"[\d,]*\d(?:\.\d+)?", rows("service | price")[what][0])
    ]


def api_gateway(rate: float) -> float:
    """By steps."""
    first, until_first, second, until_second, third = prices("API Gateway, REST")
    requests = rate * MILLION_SECONDS
    steps = ((first, 0.0, until_first), (second, until_first, until_second), (third, until_second, requests))
    return sum(price * max(0, min(requests, end) - start) for price, start, end in steps)


def invocations(count_million: float, gb_s: float) -> float:
    """What Lambda takes for them."""
    request, gb_second = prices("Lambda, x86")
    return count_million * request + count_million * 1e6 * gb_s * gb_second


def tasks(rate: float) -> float:
    """Polling, and what each task adds."""
    started, polls = rate * MILLION_SECONDS / 10, 4 * 15 * MINUTES / 1e6
    return (polls + 1.2 * started) * prices("SQS")[0] + invocations(started / 10, 0.1)


def x_ray(rate: float) -> float:
    """One a second, and a twentieth of the rest."""
    return (min(rate, 1) + max(rate - 1, 0) / 20) * MILLION_SECONDS * prices("X-Ray")[0]


def waf(rate: float) -> float:
    """The list, its six rules, and what it looks at."""
    acl, rule, request = prices("WAF")
    return acl + 6 * rule + rate * MILLION_SECONDS * request


def alarm_metrics() -> int:
    """Metrics that the alarms of prod read, which is how CloudWatch counts an alarm with a metric expression.

    A query of Metrics Insights reads a metric of each route.
    """
    stage = read_stage(ROOT, "prod", configured(ROOT, "prod"))
    alarms = [alarm for nested in stage.stacks for alarm in stage.of_type("AWS::CloudWatch::Alarm", nested).values()]
    metrics = [each for alarm in alarms for each in alarm.get("Metrics", [{"MetricStat": {}}])]
    queries = sum(str(each.get("Expression")).startswith("SELECT ") for each in metrics)
    return sum("MetricStat" in each for each in metrics) + queries * sum(each.has_route for each in stage.functions())


def fixed(_rate: float) -> float:
    """What costs the same whatever comes."""
    (key, secret), (_logs, alarm, dashboard) = prices("KMS, Secrets Manager"), prices("CloudWatch")
    return key + secret + alarm_metrics() * alarm + dashboard + invocations(MINUTES / 1e6, 0.1)


ROWS: dict[str, Callable[[float], float]] = {
    "API Gateway": api_gateway,
    "Lambda, routes": lambda rate: invocations(rate * MILLION_SECONDS, 0.025),
    "tasks: SQS and worker": tasks,
    "logs": lambda rate: rate * MILLION_SECONDS * 1.5 * prices("CloudWatch")[0],
    "X-Ray": x_ray,
    "WAF": waf,
    "Aurora, capacity": lambda rate: CAPACITY_ACU[int(rate)] * HOURS * prices("Aurora Serverless v2")[0],
    "Aurora, I/O": lambda rate: 2 * rate * MILLION_SECONDS * prices("Aurora Serverless v2")[1],
    "RDS Proxy": lambda rate: (
        max(prices("RDS Proxy before it")[1], CAPACITY_ACU[int(rate)]) * HOURS * prices("RDS Proxy before it")[0]
    ),
    "endpoints": lambda _rate: 4 * 2 * HOURS * prices("interface endpoint")[0],
    "key, secret, alarms, dashboard, sweeper": fixed,
}


def stated(what: str) -> list[float]:
    """What the page says that something costs, by rate."""
    return [float(each.replace(",", "")) for each in rows("a month, requests a second")[what][: len(RATES)]]


@pytest.mark.parametrize("what", ROWS)
def test_costs_follow_from_the_prices(what: str) -> None:
    """Each cell is what the price list and the assumptions come to, to the cent."""
    assert stated(what) == pytest.approx([ROWS[what](rate) for rate in RATES], abs=0.01)


def test_costs_add_up() -> None:
    """No row is missing, and the last one is the sum of the others."""
    columns = zip(*(stated(what) for what in ROWS), strict=True)

    assert rows("a month, requests a second").keys() == {*ROWS, "together"}
    assert stated("together") == pytest.approx([sum(column) for column in columns], abs=0.02)


THREATS = re.findall(r"^\| .* \|$", PAGE.partition("## Threats")[2], re.MULTILINE)[1:]


@pytest.mark.parametrize("row", THREATS, ids=[row.split("|")[2].strip() for row in THREATS])
def test_threats_name_what_proves_them_stopped(row: str) -> None:
    """The last column has tests that there are, or commands that `make test` runs."""
    named = re.findall(r"`([^`]+)`", row.rpartition(" | ")[2])
    [of_test] = re.findall(r"^test: (.*) ##", (ROOT / "Makefile").read_text(), re.MULTILINE)

    tests = [each.split("::") for each in named if not each.startswith("make ")]

    assert tests
    assert all(f"def {test}(" in (ROOT / "tests" / path).read_text() for path, test in tests)
    assert {each.removeprefix("make ") for each in named if each.startswith("make ")} <= set(of_test.split())
