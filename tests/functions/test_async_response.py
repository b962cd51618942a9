"""GET /async through its handler."""

import pytest

from decant_cloud.invocation import call, event, load_function


def test_async_response_answers_the_articles_text() -> None:
    """The event in `events/` gives what the route promises."""
    answer = call(load_function("async_response"), event("async_response", query="seconds=0"))

    assert (answer.status, answer.text) == (200, "Async Response")


@pytest.mark.parametrize("seconds", ["abc", "", "-1", "20.1", "nan", "inf", "1e999"])
def test_async_response_refuses_what_is_no_wait(seconds: str) -> None:
    """What is no number from 0 to 20 is a problem that names the field."""
    answer = call(load_function("async_response"), event("async_response", query=f"seconds={seconds}"))

    assert answer.status == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [fault["field"] for fault in answer.json()["errors"]] == ["seconds"]


def test_async_response_refuses_unknown_parameters() -> None:
    """A misspelt parameter is an error."""
    answer = call(load_function("async_response"), event("async_response", query="second=1"))

    assert answer.status == 422
    assert [fault["field"] for fault in answer.json()["errors"]] == ["second"]
