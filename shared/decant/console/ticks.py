"""The next tick of a schedule, from the definition that the sweeper has stored.

The console does not import the tasks: their imports would slow every start of its function.
"""

import ast
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from decant.tasks.schedule import Schedule, cron, every

__all__ = ["next_tick"]

_KINDS: dict[str, Callable[..., Schedule]] = {"every": every, "cron": cron}
_LONGEST = timedelta(days=370)


def next_tick(definition: str, after: datetime) -> datetime | None:
    """The first tick after a time.

    Args:
        definition: The schedule's representation, such as `every(30)` or `cron('0 3 * * *', 'UTC')`.
        after: An aware time.
    Returns:
        The tick; None for a schedule of another class, or without a tick within a year.
    """
    schedule = _schedule(definition)
    return None if schedule is None else next(iter(schedule.ticks(after.astimezone(UTC), after + _LONGEST)), None)


def _schedule(definition: str) -> Schedule | None:
    try:
        call = ast.parse(definition, mode="eval").body
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in _KINDS:
            return _KINDS[call.func.id](*(ast.literal_eval(argument) for argument in call.args))
    except (SyntaxError, ValueError, TypeError):
        pass  # a schedule of the application
    return None
