"""Random lives of workflows: the guarantees hold after every kill, duplicate, revoke, fork, deployment and sweep.

A killed worker is a worker whose statements have no effect from some statement on. Its runs are found by the sweeper.
"""

import os
from abc import abstractmethod
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import ExitStack, asynccontextmanager
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from decant import loop
from decant.errors import Conflict
from decant.tasks import State
from decant.tasks.context import current_run
from decant.tasks.options import TaskOptions
from decant.tasks.records import FINISHED, Completed, Runnable
from decant.tasks.registry import registry
from decant.tasks.store import Store, using
from decant.tasks.store.postgres import PostgresStore
from decant.testing import MemoryStore
from decant.testing.steps import MemorySteps
from decant.worker.execution import Deadline
from decant.worker.runner import Runner
from decant.workflows import Workflow, WorkflowRun, patched, sleep, step, wait_for
from decant.workflows.records import NewStep, Recorded, Taken, Wait
from decant.workflows.store import NotRecorded, PostgresSteps, Recording, StepStore, StepTransaction
from decant.workflows.store import using as using_steps
from tests.worlds import PostgresWorld, execute, sweep_once

EXAMPLES = settings().max_examples // 10
MOST_RUNS = 4
NAME = "machine"

CALLS: Counter[tuple[str, str]] = Counter()
"""Calls of plain steps, by run and name."""


def run_id() -> str:
    """Id of the current run."""
    run = current_run()
    assert run is not None
    return run.request.id


async def plain(name: str) -> str:
    """A step that counts its calls."""
    CALLS[run_id(), name] += 1
    return name


async def write(name: str, *, session: AsyncSession) -> str:
    """A step with an effect in its transaction."""
    await session.execute(text("INSERT INTO effect (run, name) VALUES (:run, :name)"), {"run": run_id(), "name": name})
    return name


async def first_version(transactional: bool) -> list[Any]:  # noqa: FBT001  # an argument of the workflow
    """Two signals, a sleep, and steps between them."""
    effect: Any = write if transactional else plain
    results: list[Any] = [await step(effect, "a", name="a"), await wait_for("go", int)]
    results.append(await step(plain, "b", name="b"))
    await sleep(60)
    results.append(await wait_for("go", int))
    return [*results, await step(effect, "c", name="c")]


async def second_version(transactional: bool) -> list[Any]:  # noqa: FBT001  # an argument of the workflow
    """The same, with another step in runs that have not passed it."""
    effect: Any = write if transactional else plain
    results: list[Any] = [await step(effect, "a", name="a"), await wait_for("go", int)]
    if patched("audit"):
        await step(plain, "audit", name="audit")
    results.append(await step(plain, "b", name="b"))
    await sleep(60)
    results.append(await wait_for("go", int))
    return [*results, await step(effect, "c", name="c")]


VERSIONS = [first_version, second_version]


class Worker:
    """A worker whose statements have no effect after the given number of them."""

    def __init__(self, statements: int) -> None:
        self.statements = statements

    def execute(self) -> bool:
        """Whether the next statement takes effect."""
        self.statements -= 1
        return self.statements >= 0


def mortal_steps(base: StepStore, worker: Worker) -> StepStore:
    """The store of steps of a worker that may be killed."""
    kind: Any = type(base)

    class Mortal(kind):  # type: ignore[misc]
        def __init__(self) -> None:
            self.__dict__.update(base.__dict__)

        async def load(self, ids: Sequence[UUID]) -> dict[UUID, list[Recorded]]:
            return await super().load(ids) if worker.execute() else {task_id: [] for task_id in ids}

        async def record(self, steps: Sequence[NewStep]) -> Recording:
            return await super().record(steps) if worker.execute() else set()

        @asynccontextmanager
        async def transaction(self) -> AsyncIterator[StepTransaction]:
            async with super().transaction() as (session, record):

                async def record_unless_killed(step: NewStep) -> None:
                    if not worker.execute():
                        raise NotRecorded
                    await record(step)

                yield session, record_unless_killed

        async def take(self, waits: Sequence[Wait]) -> list[Taken]:
            lost = Taken(None, delivered=False, result=None)
            return await super().take(waits) if worker.execute() else [lost] * len(waits)

    found: StepStore = Mortal()
    return found


def mortal_store(base: Store, worker: Worker) -> Store:
    """The store of tasks of a worker that may be killed."""
    kind: Any = type(base)

    class Mortal(kind):  # type: ignore[misc]
        def __init__(self) -> None:
            self.__dict__.update(base.__dict__)

        async def complete(self, *given: Any) -> Completed:
            return await super().complete(*given) if worker.execute() else Completed({}, [])

    found: Store = Mortal()
    return found


class Lives(RuleBasedStateMachine):
    """Callers, workers that are killed, a sweeper, and deployments."""

    transactional: bool
    store: Store
    steps: StepStore

    def __init__(self) -> None:
        super().__init__()
        CALLS.clear()
        self.runs: dict[str, list[int]] = {}  # the signals sent to each
        self.forks: dict[str, str] = {}
        self.kills = 0
        self.ended: dict[str, State] = {}
        self.deploy(0)

    def drawn(self, data: st.DataObject) -> str:
        """One of the runs."""
        return list(self.runs)[data.draw(st.integers(0, len(self.runs) - 1))]

    def call[T](self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine."""
        return loop.run(work)

    @rule(version=st.integers(0, 1))
    def deploy(self, version: int) -> None:
        """Deploy a version of the code."""
        registry[NAME] = Workflow(VERSIONS[version], TaskOptions(name=NAME, max_retries=None))

    @precondition(lambda self: len(self.runs) < MOST_RUNS)
    @rule()
    def start(self) -> None:
        """Start a run, twice with the same key."""
        workflow: Any = registry[NAME]
        runs = [self.call(workflow.start(self.transactional, id=f"run-{len(self.runs)}")) for _ in range(2)]
        assert runs[0] == runs[1]
        self.runs[runs[0].id] = []

    @precondition(lambda self: self.runs)
    @rule(data=st.data(), twice=st.booleans())
    def send(self, data: st.DataObject, twice: bool) -> None:  # noqa: FBT001  # a rule's draw
        """Send a signal, perhaps twice with the same key."""
        run = self.drawn(data)
        number = len(self.runs[run])
        for _ in range(1 + twice):
            try:
                self.call(WorkflowRun(run).send("go", number, id=str(number)))
            except Conflict:
                return
        self.runs[run].append(number)

    @rule(statements=st.one_of(st.just(1000), st.integers(0, 8)))
    def work(self, statements: int) -> None:
        """An invocation, which may be killed after some statements."""
        self.kills += statements < 1000  # the number that stands for no kill
        self.call(self._work(statements))

    async def _work(self, statements: int) -> None:
        worker = Worker(statements)
        with using(mortal_store(self.store, worker)), using_steps(mortal_steps(self.steps, worker)):
            async with Runner(Deadline(60)) as runner:
                await runner.run(await self.store.claim_due(Runnable([NAME]), runner.lease_s, 10))

    @rule(seconds=st.sampled_from([1, 61, 86_400]))
    def sweep(self, seconds: float) -> None:
        """Time passes, and the sweeper runs."""
        self.call(self.advance(seconds))
        self.call(sweep_once())

    @abstractmethod
    async def advance(self, seconds: float) -> None:
        """Advance the time."""

    @precondition(lambda self: self.runs)
    @rule(data=st.data())
    def revoke(self, data: st.DataObject) -> None:
        """Revoke a run."""
        self.call(WorkflowRun(self.drawn(data)).revoke())

    @precondition(lambda self: 0 < len(self.runs) < MOST_RUNS)
    @rule(data=st.data())
    def fork(self, data: st.DataObject) -> None:
        """Fork a run with all its results."""
        origin = self.drawn(data)
        received = [step.result for step in self.call(self.steps.statuses(UUID(origin))) if step.kind == "signal"]
        fork = self.call(WorkflowRun(origin).fork())
        self.runs[fork.id] = received
        self.forks[fork.id] = origin

    @invariant()
    def guarantees_hold(self) -> None:
        """Final states are final, results are right, signals are received in order, and effects happen once."""
        for run, sent in self.runs.items():
            status = self.call(WorkflowRun(run).status())
            assert self.ended.get(run, status.state) is status.state
            if status.state in FINISHED:
                self.ended[run] = status.state
            assert status.state in {*State} - {State.FAILURE}, status
            recorded = self.call(self.steps.statuses(UUID(run)))
            received = [step.result for step in recorded if step.kind == "signal"]
            assert received == sent[: len(received)]
            if status.state is State.SUCCESS:
                assert status.result == ["a", sent[0], "b", sent[1], "c"]
        assert all(count <= 1 + self.kills for count in CALLS.values())
        for count in self.call(self.effects()):
            assert count == 1

    async def effects(self) -> list[int]:
        """Number of the effects of each run and step."""
        return []

    def teardown(self) -> None:
        """All runs that were not revoked end in success."""
        for run, sent in self.runs.items():
            while len(sent) < 2 and run not in self.ended:  # signals that a run waits for
                self.call(WorkflowRun(run).send("go", len(sent), id=str(len(sent))))
                sent.append(len(sent))
        self.deploy(1)  # runs that have recorded a step of it wait for this version
        for _ in range(4):
            self.sweep(86_400)
            self.work(1000)
        self.guarantees_hold()
        assert set(self.ended) == set(self.runs)


class MemoryLives(Lives):
    """In memory."""

    transactional = False

    def __init__(self) -> None:
        self.exits = ExitStack()
        memory = MemoryStore()
        self.store, self.steps = memory, MemorySteps(memory)
        self.exits.enter_context(using(self.store))
        self.exits.enter_context(using_steps(self.steps))
        super().__init__()

    async def advance(self, seconds: float) -> None:
        """Advance the clock of the store."""
        assert isinstance(self.store, MemoryStore)
        self.store.advance(seconds)

    def teardown(self) -> None:
        """End the runs, and use the former store again."""
        with self.exits:
            super().teardown()


class PostgresLives(Lives):
    """On PostgreSQL, with effects in transactions."""

    transactional = True

    def __init__(self) -> None:
        self.store, self.steps = PostgresStore(), PostgresSteps()
        self.call(execute("TRUNCATE decant.task, effect CASCADE"))
        super().__init__()

    async def advance(self, seconds: float) -> None:
        """Advance the time of the table."""
        await PostgresWorld().advance(seconds)

    async def effects(self) -> list[int]:
        """Number of the effects of each run and step."""
        return [row["count"] for row in await execute("SELECT count(*) AS count FROM effect GROUP BY run, name")]


@pytest.fixture(params=[MemoryLives, PostgresLives])
def lives(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> type[Lives]:
    """The machines, whose finished runs are kept."""
    monkeypatch.setenv("TASK_RESULT_EXPIRES_S", "1000000000")
    if request.param is PostgresLives:
        request.getfixturevalue("database_url")
        loop.run(execute("CREATE TABLE effect (run text NOT NULL, name text NOT NULL)"))
    machine: type[Lives] = request.param
    return machine


@pytest.mark.usefixtures("new_tasks")
def test_guarantees_hold_in_random_lives(lives: type[Lives]) -> None:
    """TEST_EXAMPLES=10000 searches longer."""
    run_state_machine_as_test(
        lives,
        settings=settings(
            max_examples=EXAMPLES * (10 if lives is MemoryLives else 1),
            stateful_step_count=30,
            deadline=None,
            derandomize=not os.environ.get("TEST_EXAMPLES"),
            suppress_health_check=list(HealthCheck),
            phases=(Phase.explicit, Phase.generate, Phase.shrink),
        ),
    )
