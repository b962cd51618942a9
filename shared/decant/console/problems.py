"""What needs attention, and why: the first part of the console's overview."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from decant.console.records import Failing, Overview, Problem, Running, WorkerStatus
from decant.tasks.lists import QueueStatistics

__all__ = ["problems"]

_SILENT_S = 180  # three sweeps
_OLD_S = 300


def problems(overview: Overview, unknown: Iterable[Mapping[str, Any]]) -> list[Problem]:
    """List the problems, those that stop most of the work first.

    Args:
        overview: The present state, without problems.
        unknown: Rows of waiting tasks that no worker has the code of.
    """
    return [
        *_sweeper(overview.now, overview.swept_at),
        *_queues(overview.queues, overview.paused),
        *_leases(overview.running),
        *_workers(overview.workers, overview.now),
        *_unknown(unknown),
        *_failing(overview.failing),
    ]


def _sweeper(now: datetime, swept_at: datetime | None) -> Iterator[Problem]:
    if swept_at is None:
        yield Problem(
            kind="sweeper",
            subject="sweeper",
            title="The sweeper has not run yet",
            detail="Schedules, retries and tasks of lost workers wait for it. It runs once a minute; check its "
            "function or the worker.",
        )
    elif (now - swept_at).total_seconds() > _SILENT_S:
        yield Problem(
            kind="sweeper",
            subject="sweeper",
            title=f"The sweeper last ran {duration((now - swept_at).total_seconds())} ago",
            detail="It runs once a minute. Schedules, retries and tasks of lost workers wait for it.",
        )


def _queues(queues: Iterable[QueueStatistics], paused: Sequence[str]) -> Iterator[Problem]:
    for queue in queues:
        if queue.queue in paused:
            yield Problem(
                kind="paused",
                subject=queue.queue,
                title=f"Queue {queue.queue} is paused",
                detail=f"{queue.due} due tasks wait until it is resumed.",
            )
        elif (queue.oldest_s or 0) > _OLD_S:
            idle = "no worker runs tasks of the queue" if not queue.running else f"{queue.running} tasks run"
            yield Problem(
                kind="queue",
                subject=queue.queue,
                title=f"The oldest task of queue {queue.queue} has been due for {duration(queue.oldest_s or 0)}",
                detail=f"{queue.due} tasks are due; {idle}.",
            )


def _leases(running: Iterable[Running]) -> Iterator[Problem]:
    overdue = [each for each in running if each.overdue]
    if overdue:
        yield Problem(
            kind="worker",
            subject=overdue[0].name,
            title=f"{len(overdue)} tasks have lost their worker",
            detail="Their leases have expired. The next sweep retries them.",
        )


def _workers(workers: Iterable[WorkerStatus], now: datetime) -> Iterator[Problem]:
    lost = [each for each in workers if not each.active and not each.is_function]
    if lost:
        last = lost[0]
        yield Problem(
            kind="lost",
            subject=last.name,
            title=f"{len(lost)} workers have stopped reporting"
            if len(lost) > 1
            else f"Worker {last.name} has stopped reporting",
            detail=f"It last did {duration((now - last.seen_at).total_seconds())} ago: it was killed, cannot reach the "
            "database, or a task blocks its event loop.",
        )


def _unknown(unknown: Iterable[Mapping[str, Any]]) -> Iterator[Problem]:
    for row in unknown:
        yield Problem(
            kind="unknown",
            subject=row["name"],
            title=f"No worker has the code of {row['name']}",
            detail=f"{row['count']} tasks wait. {row['error'] or ''}".rstrip(),
        )


def _failing(failing: Iterable[Failing]) -> Iterator[Problem]:
    for each in failing:
        yield Problem(
            kind="failing",
            subject=each.name,
            title=f"{each.failed} of {each.finished} runs of {each.name} failed within 15 minutes",
            detail=each.error or "",
        )


def duration(seconds: float) -> str:
    """A duration with its largest unit."""
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
