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
    "signals.join_in_a_task": Difference(
        "SUCCESS",
        "Celery refuses to wait for results in tasks, which can exhaust its pool; in Decant, tasks that wait hold no "
        "worker process.",
    ),
    "workflows.chain_failure_before_a_group": Difference(
        ["FAILURE", "ChordError", ["FAILURE", "FAILURE"]],
        "Celery leaves the members of a group after the failed task of a chain PENDING forever. Decant closes them, "
        "and the body of their chord fails as with a failed member.",
    ),
}
