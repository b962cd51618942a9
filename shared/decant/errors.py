"""Every error that Decant raises.

    DecantError
    ├── ConfigError              500: a setting is missing or bad
    ├── MalformedBody            400: the body does not match its Content-Type
    ├── InvalidToken             401: a bearer token is malformed, expired or not the issuer's
    ├── NotFound                 404: no such resource
    │   └── TaskNotFound         404: no such task
    ├── Conflict                 409: the resource's present state forbids it
    ├── InvalidInput             422: fields of the request are invalid; all are listed
    ├── TaskFailed               500: a task whose result was waited for ended in FAILURE
    ├── TaskRevoked              500: a task whose result was waited for was revoked
    ├── TaskStopped              500: a task did not run to its end
    │   ├── MaxRetriesExceeded   it requested more retries than it has
    │   ├── NeverAwaited         it left a coroutine that was never awaited
    │   ├── SoftTimeLimitExceeded  raised inside the task, which can clean up
    │   └── TimeLimitExceeded    it was cancelled
    ├── StepFailed               500: a step of a workflow failed with an error whose class cannot be imported
    ├── StepInterrupted          500: a step that must not be repeated was interrupted
    ├── WaitTimeout              504: no signal arrived in time
    ├── WorkflowChanged          500: the code of a workflow does not match what a run of it has recorded
    ├── UpstreamError            502: another service responded with an error, or not at all
    │   └── UpstreamTimeout      504: another service was too slow
    └── ServiceUnavailable       503: a service that is needed is down; retrying may help
        ├── AwsUnavailable       503: an API of AWS did not respond, or refused the request
        │   └── CredentialsUnavailable  503: there are no AWS credentials
        └── DatabaseUnavailable  503: PostgreSQL cannot be reached
            └── PoolExhausted    503: all connections of the pool were in use for too long

`decant.web` responds with the error's `status` and `application/problem+json`. `str(error)` is the detail that the
client reads, so it never contains a secret.

Source: RFC 9457 (problem details).
"""

from collections.abc import Sequence
from typing import ClassVar

__all__ = [
    "AwsUnavailable",
    "ConfigError",
    "Conflict",
    "CredentialsUnavailable",
    "DatabaseUnavailable",
    "DecantError",
    "InvalidInput",
    "InvalidToken",
    "MalformedBody",
    "MaxRetriesExceeded",
    "NeverAwaited",
    "NotFound",
    "PoolExhausted",
    "ServiceUnavailable",
    "SoftTimeLimitExceeded",
    "StepFailed",
    "StepInterrupted",
    "TaskFailed",
    "TaskNotFound",
    "TaskRevoked",
    "TaskStopped",
    "TimeLimitExceeded",
    "UpstreamError",
    "UpstreamTimeout",
    "WaitTimeout",
    "WorkflowChanged",
]


class DecantError(Exception):
    """Base of every error that Decant raises on purpose.

    Attributes:
        status: HTTP status of the response; with 500 the client does not see the message.
        title: Short name of the kind of error, the same for all occurrences.
    """

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal Server Error"


class ConfigError(DecantError):
    """Settings are missing or bad.

    Attributes:
        problems: A line for every bad variable, `VARIABLE: the problem`.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class MalformedBody(DecantError):
    """The body does not match its Content-Type; retrying does not help."""

    status = 400
    title = "Malformed Body"


class InvalidToken(DecantError):
    """A bearer token is malformed, expired, not signed by the trusted issuer or for another audience."""

    status = 401
    title = "Unauthorized"


class NotFound(DecantError):
    """No such resource."""

    status = 404
    title = "Not Found"


class TaskNotFound(NotFound):
    """No task has this id.

    Attributes:
        task_id: The requested id.
    """

    title = "Task Not Found"

    def __init__(self, task_id: str) -> None:
        super().__init__(f"No task has the id {task_id[:100]!r}.")
        self.task_id = task_id


class Conflict(DecantError):
    """The request conflicts with stored data, such as a value that must be unique."""

    status = 409
    title = "Conflict"


class InvalidInput(DecantError):
    """Fields of the request are missing, unknown or of a wrong type or value.

    Attributes:
        fields: The problem of every invalid field, by its path: `seconds` or `address.city`.
    """

    status = 422
    title = "Invalid Input"

    def __init__(self, fields: dict[str, str]) -> None:
        super().__init__("; ".join(f"{path}: {problem}" for path, problem in fields.items()))
        self.fields = fields


class TaskFailed(DecantError):
    """A task ended in FAILURE; raised where its result is waited for.

    Attributes:
        task_id: The task.
        type: Name of the error's class.
        message: The error's message.
        traceback: Its traceback; empty when no code of the task was running.
    """

    def __init__(self, task_id: str, type_: str, message: str, traceback: str = "") -> None:
        super().__init__(f"Task {task_id} failed: {type_}: {message}")
        self.task_id = task_id
        self.type = type_
        self.message = message
        self.traceback = traceback


class TaskRevoked(DecantError):
    """A task was revoked, or expired; raised where its result is waited for.

    Attributes:
        task_id: The task.
        reason: Why it was revoked, a sentence.
    """

    def __init__(self, task_id: str, reason: str = "") -> None:
        super().__init__(f"Task {task_id} was revoked. {reason}".rstrip())
        self.task_id = task_id
        self.reason = reason


class TaskStopped(DecantError):
    """A task did not run to its end."""


class MaxRetriesExceeded(TaskStopped):
    """A task requested another retry when none was left, and passed no error of its own."""


class NeverAwaited(TaskStopped):
    """A task left a coroutine that was never awaited, so that a part of its work was not done."""


class SoftTimeLimitExceeded(TaskStopped):
    """A task ran longer than its soft limit; raised inside the task, which can clean up and return or raise."""


class TimeLimitExceeded(TaskStopped):
    """A task ran longer than its limit, and was cancelled."""


class StepFailed(DecantError):
    """A step of a workflow failed with an error whose class cannot be imported.

    Attributes:
        step: Name of the step.
        type: Module and name of the error's class.
        message: The error's message.
        traceback: Its traceback.
    """

    def __init__(self, step: str, type_: str, message: str, traceback: str = "") -> None:
        super().__init__(f"Step {step} failed: {type_}: {message}")
        self.step = step
        self.type = type_
        self.message = message
        self.traceback = traceback


class StepInterrupted(DecantError):
    """A step with `once=True` was begun, and its result was never recorded: whether it took effect is not known."""


class WaitTimeout(DecantError, TimeoutError):
    """No signal arrived before the timeout of `wait_for`."""

    status = 504
    title = "Wait Timeout"


class WorkflowChanged(DecantError):
    """The code of a workflow does not match what a run of it has recorded; the run waits until it does."""


class UpstreamError(DecantError):
    """Another service answered wrongly, or could not be reached; retrying may help."""

    status = 502
    title = "Bad Gateway"


class UpstreamTimeout(UpstreamError):
    """Another service was too slow; retrying may help."""

    status = 504
    title = "Gateway Timeout"


class ServiceUnavailable(DecantError):
    """A part that is needed is down; the same request works once it is back.

    Attributes:
        retry_after_s: Seconds that the client has to wait, whole and positive.
    """

    status = 503
    title = "Service Unavailable"

    def __init__(self, message: str, retry_after_s: int = 5) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class AwsUnavailable(ServiceUnavailable):
    """An API of AWS could not be reached, did not respond in time, or refused the request.

    Attributes:
        reason: Description of the failure for the log; not part of the message, which a client may read.
        code: AWS's code of the error, such as `AccessDeniedException`; empty when there was no response.
    """

    def __init__(self, reason: str, code: str = "") -> None:
        super().__init__("A service of AWS is unavailable.")
        self.reason = reason
        self.code = code


class CredentialsUnavailable(AwsUnavailable):
    """There are no AWS credentials, or they could not be refreshed."""


class DatabaseUnavailable(ServiceUnavailable):
    """PostgreSQL cannot be reached, or hung up; nothing of the transaction was kept."""


class PoolExhausted(DatabaseUnavailable):
    """No connection of the pool became free in time; nothing was executed. Retrying helps when there is less load."""
