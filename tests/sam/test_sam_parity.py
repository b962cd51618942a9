"""The same events come to the same answers, errors and timeouts wherever a built function runs.

What the local cloud's executor makes of each is compared with AWS's runtime interface emulator, and with `sam local`.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from decant_cloud.template.model import Template
from tests.loading import ROOT
from tests.sam.runners import Built, Runner

FUNCTIONS = sorted(function.name for function in Template(ROOT).evaluated({}).values())
"""Functions of a local stage; some exist at AWS alone."""
OTHERS = ["emulator", pytest.param("sam local", marks=pytest.mark.docker)]
Ask = Callable[[str], Mapping[str, str]]

pytestmark = pytest.mark.timeout(600)  # the first test waits for what all of them compare


def comparable(answer: str) -> Any:
    """An answer without what differs from one invocation to the next: ids, times, ages, signatures and paths."""
    answer = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<id>", answer)
    answer = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)", "<time>", answer)
    answer = re.sub(r'(\\"(?:policy|x-amz-[a-z-]+)\\": ?\\")[^"\\]+', r"\1<signed>", answer, flags=re.IGNORECASE)
    answer = re.sub(r"https://\w+-uploads-", "https://<stack>-uploads-", answer)
    answer = re.sub(r'(\\"oldest_s\\": ?)[\d.]+', r"\1<seconds>", answer)
    try:
        parsed = json.loads(answer)
    except ValueError:
        return answer
    if isinstance(parsed, dict):
        parsed.pop("stackTrace", None)
        parsed.pop("requestId", None)
        for header in ("date", "etag", "expires", "last-modified"):  # of a file: its path, its time, now
            parsed.get("headers", {}).pop(header, None)
        if "<signed>" in answer or "<seconds>" in answer:
            parsed["headers"].pop("content-length")  # of the stack's name and the credentials, or of the age
    return parsed


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_function_answers_alike(function: str, other: str, answers: Ask) -> None:
    """Each function answers its event the same."""
    here, there = answers("executor")[function], answers(other)[function]

    assert comparable(there) == comparable(here)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_function_answers_at_all(function: str, answers: Ask) -> None:
    """What is compared is an answer, and no failure that is alike everywhere."""
    answer = json.loads(answers("executor")[function]) or {}

    assert "errorType" not in answer
    assert answer.get("statusCode", 200) in {200, 201, 202, 404}


@pytest.mark.parametrize("other", OTHERS)
def test_error_that_nothing_handles_is_told_alike(other: str, failures: Ask) -> None:
    """Type and message of an exception come to the caller."""
    there = comparable(failures(other)["Raises"])

    assert there == comparable(failures("executor")["Raises"])
    assert there == {"errorType": "ValueError", "errorMessage": "of no use"}


@pytest.mark.parametrize("other", OTHERS)
def test_process_that_ends_is_told_alike(other: str, failures: Ask) -> None:
    """So does the status of a process that ended."""
    exits = [comparable(failures(name)["Exits"]) for name in ("executor", other)]

    assert [each["errorType"] for each in exits] == ["Runtime.ExitError"] * 2
    assert all(each["errorMessage"].endswith("Runtime exited with error: exit status 3") for each in exits)


@pytest.mark.parametrize("other", OTHERS)
def test_timeout_is_told_alike(other: str, failures: Ask) -> None:
    """A function that takes too long is ended after its time, and the caller reads after how long."""
    assert "Task timed out after 2.00 seconds" in failures("executor")["Sleeps"]
    assert re.search(r"timed out after 2(\.00)? seconds", failures(other)["Sleeps"])


@pytest.mark.parametrize("runner", ["executor", *OTHERS])
def test_poured_application_responds(poured: Built, runners: Callable[[str], Runner], runner: str) -> None:
    """Flask's tutorial, as `decant pour` has written it, creates its tables and shows its first page."""
    event = (poured.template.parents[1] / "events/flaskr.json").read_bytes()

    response = json.loads(runners(runner).invoke(poured, event, {"SECRET_KEY": "test"}))

    assert response["statusCode"] == 200
    assert "<title>Posts - Flaskr</title>" in response["body"]
