"""Differences from Celery that are intended."""

from typing import Any, NamedTuple

__all__ = ["DIFFERENCES", "Difference"]


class Difference(NamedTuple):
    """A case in which Decant does not do what Celery does.

    Attributes:
        decant: What the case returns under Decant.
        reason: Why.
    """

    decant: Any
    reason: str


DIFFERENCES: dict[str, Difference] = {
    "failures.error_that_cannot_be_made_again": Difference(
        ["FAILURE", "OddError"],
        "Celery stores UnpickleableExceptionWrapper; Decant stores class and arguments as JSON, and makes the error "
        "without its constructor.",
    ),
    "workflows.chain_failure_in_the_middle": Difference(
        [{"state": "FAILURE", "value": ["ValueError", "part failed"]}, "FAILURE", "FAILURE", "SUCCESS"],
        "Celery leaves tasks between the failed task and the last task of a chain PENDING forever; Decant closes them.",
    ),
}
