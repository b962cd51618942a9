"""Putting tasks that failed or were revoked back: `await redrive(name="domain.tasks.mail", error="SMTPError")`.

From a shell, `python -m decant.tasks.redrive --name domain.tasks.mail --error SMTPError`.
"""

import argparse
from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from decant import loop
from decant.tasks.announce import announce
from decant.tasks.records import Which
from decant.tasks.result import AsyncResult
from decant.tasks.store import store

__all__ = ["main", "redrive"]


async def redrive(  # noqa: PLR0913  # each a condition of its own
    ids: Iterable[str | UUID] | None = None,
    *,
    name: str | None = None,
    error: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 10_000,
) -> list[AsyncResult]:
    """Run tasks again that ended in FAILURE or REVOKED, with all their retries; a workflow comes back whole.

    Args:
        ids: Only these.
        name: Only those of this task.
        error: Only those that ended with an error of this class.
        since: Only those that ended then or later, an aware time.
        until: Only those that ended before then, an aware time.
        limit: At most so many, the oldest first; the parts of their workflows come on top.
    Returns:
        Handles to them.
    Raises:
        ValueError: nothing is given: all that ever failed is more than anybody means.
        DatabaseUnavailable: PostgreSQL is away; nothing was put back, and retrying helps once it is back.
    """
    which = Which(
        ids=None if ids is None else tuple(UUID(str(each)) for each in ids),
        name=name,
        error=error,
        since=since,
        until=until,
    )
    if which == Which():
        raise ValueError("redrive() must be told which tasks")
    rows = await store().redrive(which, limit)
    await announce(rows)
    return [AsyncResult(row.id) for row in rows]


def main(arguments: Sequence[str] | None = None) -> int:
    """Put the tasks back that the command line names, and print their ids; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m decant.tasks.redrive", description="Run failed tasks again.")
    parser.add_argument("ids", nargs="*", help="only these")
    parser.add_argument("--name", help="only those of this task")
    parser.add_argument("--error", help="only those that ended with an error of this class")
    parser.add_argument("--since", type=datetime.fromisoformat, help="only those that ended then or later, with zone")
    parser.add_argument("--until", type=datetime.fromisoformat, help="only those that ended before then, with zone")
    given = vars(parser.parse_args(arguments))
    ids = given.pop("ids") or None
    if ids is None and not any(given.values()):
        parser.error("say which tasks")
    for result in loop.run(redrive(ids, **given)):
        print(result.id)  # noqa: T201  # a command talks to a person
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
