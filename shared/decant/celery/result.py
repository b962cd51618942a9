"""Handles to tasks, as in `celery.result`. Their methods block; waiting for a result in a coroutine is refused."""

from decant.celery.async_result import AsyncResult, ResultBase
from decant.celery.eager_result import EagerResult
from decant.celery.result_sets import (
    GroupResult,
    ResultSet,
    allow_join_result,
    denied_join_result,
    result_from_tuple,
)

__all__ = [
    "AsyncResult",
    "EagerResult",
    "GroupResult",
    "ResultBase",
    "ResultSet",
    "allow_join_result",
    "denied_join_result",
    "result_from_tuple",
]
