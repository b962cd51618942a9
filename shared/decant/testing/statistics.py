"""Statistics of queues in memory."""

from collections import Counter
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from decant.tasks.lists import QueueStatistics
from decant.tasks.records import State
from decant.testing.row import Row

__all__ = ["statistics"]


def statistics(rows: Collection[Row], queues: Iterable[str], now: datetime) -> list[QueueStatistics]:
    """Count the tasks of the given queues, and of all other queues that have tasks."""
    recent = [row for row in rows if row.date_done and row.date_done >= now - timedelta(hours=1)]
    waiting = [row for row in rows if row.waiting]
    counts = {
        "due": Counter(row.new.queue for row in waiting if row.eta <= now),
        "later": Counter(row.new.queue for row in waiting if row.eta > now),
        "running": Counter(row.new.queue for row in rows if row.lease_expires_at),
        "succeeded": Counter(row.new.queue for row in recent if row.state is State.SUCCESS),
        "failed": Counter(row.new.queue for row in recent if row.unsuccessful),
    }
    return [
        QueueStatistics(
            queue=queue,
            oldest_s=max(
                (max(0.0, (now - row.eta).total_seconds()) for row in waiting if row.new.queue == queue), default=None
            ),
            **{name: counter[queue] for name, counter in counts.items()},
        )
        for queue in sorted({*queues, *(queue for counter in counts.values() for queue in counter)})
    ]
