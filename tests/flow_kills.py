"""Workers that are killed at every point of a workflow: `python -m tests.flow_kills [FIRST] [STRIDE]`.

The process of a worker is forked for every point, kills itself there, and another process finishes the run. The report
lists the points at which a guarantee did not hold.
"""

import json
import os
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from decant import db, loop
from decant.tasks.records import Runnable
from decant.tasks.registry import registry
from decant.tasks.store import store, using
from decant.worker.execution import Deadline
from decant.worker.runner import Runner
from decant.worker.sweeper import sweep
from decant.workflows import Workflow, WorkflowRun
from decant.workflows.store import using as using_steps
from tests.mortal_flow import PLAIN, POINTS, TRANSACTIONS, MortalSteps, MortalStore, mortal
from tests.worlds import PostgresWorld, execute


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A workflow whose workers are killed.

    Attributes:
        result: Its result.
        effects: Names of its effects.
        in_transaction: Those that must happen once wherever the worker is killed.
        signal: Topic of the signal that it waits for.
        signal_after: Step after which the signal is sent.
        pause_s: Seconds by which the clock advances while the run is suspended.
    """

    workflow: Workflow[..., Any]
    result: Any
    effects: Collection[str]
    in_transaction: Collection[str] = ()
    signal: str
    signal_after: str
    pause_s: float


async def work(subject: Subject, task_id: UUID) -> None:
    """Run until the run is finished: advance the time while it sleeps, and send its signal."""
    run = WorkflowRun(task_id)
    with using(MortalStore()), using_steps(MortalSteps()):
        while (status := await run.status()).date_done is None:
            async with Runner(Deadline(60)) as runner:
                await runner.run(await store().claim_due(Runnable(list(registry)), runner.lease_s, 10))
            if any(recorded.name == subject.signal_after for recorded in await run.steps()):
                await run.send(subject.signal, "signal", id="once")
            if status.state != "STARTED":
                await PostgresWorld().advance(subject.pause_s)


async def recover(subject: Subject, task_id: UUID) -> dict[str, Any]:
    """Let the lease expire, finish the run, and return its result and effects."""
    await PostgresWorld().advance(100)
    await sweep(Deadline(30))
    await work(subject, task_id)
    status = await WorkflowRun(task_id).status()
    effects = Counter(row["name"] for row in await execute("SELECT name FROM effect"))
    await execute("TRUNCATE effect")
    return {"result": status.result, "retries": status.retries, "effects": effects, "state": status.state}


def fork(work: Callable[[], Awaitable[Any]]) -> str:
    """Run a coroutine in a process of its own; returns what it has written."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        POINTS.report = writing
        os.close(reading)
        result: Any = loop.run(work())  # type: ignore[arg-type]
        os.write(writing, json.dumps(result).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as output:
        written = output.read()
    os.waitpid(child, 0)
    return written


async def begin(subject: Subject) -> str:
    """Start a run; returns its id."""
    await execute("CREATE TABLE IF NOT EXISTS effect (name text NOT NULL)")
    run = await subject.workflow.start(id=uuid4())
    await db.dispose()
    return run.id


async def count_points(subject: Subject, task_id: UUID) -> list[str]:
    """The points of a run without kills."""
    await work(subject, task_id)
    await execute("TRUNCATE effect")
    return POINTS.reached


def violations(subject: Subject, point: str, found: dict[str, Any]) -> list[str]:
    """The guarantees that did not hold."""
    wrong = []
    if found["result"] != subject.result:
        wrong.append(f"{point}: the run ended in {found['state']} with {found['result']}")
    for name in subject.effects:
        count = found["effects"].get(name, 0)
        interrupted = point in {f"inside {name}, after the effect", "before record"}
        if count != 1 and not (interrupted and count == 2 and name not in subject.in_transaction):  # twice
            wrong.append(f"{point}: {name} happened {count} times")
    return wrong


def main(subject: Subject, first: int = 1, stride: int = 1) -> int:
    """Kill a worker at every point; returns the number of violations."""
    points = json.loads(fork(lambda: count_points(subject, UUID(json.loads(fork(lambda: begin(subject)))))))
    wrong = list[str]()
    for fatal in range(first, len(points) + 1, stride):
        task_id = UUID(json.loads(fork(lambda: begin(subject))))
        POINTS.fatal = fatal
        point = fork(partial(work, subject, task_id)).strip()
        POINTS.fatal = 0
        wrong += violations(subject, point, json.loads(fork(partial(recover, subject, task_id))))
    print(f"{len(range(first, len(points) + 1, stride))} kills at {len(points)} points, {len(wrong)} violations")  # noqa: T201
    print("\n".join(wrong))  # noqa: T201  # the report
    return len(wrong)


SUBJECT = Subject(
    workflow=mortal,
    result=[*TRANSACTIONS[:5], *PLAIN, "signal", *TRANSACTIONS[5:]],
    effects=(*TRANSACTIONS, *PLAIN),
    in_transaction=TRANSACTIONS,
    signal="go",
    signal_after="sleep",
    pause_s=86_401,
)

if __name__ == "__main__":
    raise SystemExit(main(SUBJECT, *map(int, sys.argv[1:])))
