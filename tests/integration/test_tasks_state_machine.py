"""Random lives of tasks against PostgreSQL: with lost, doubled, late and killed runs, the guarantees hold at each step.

The machine plays callers, queue, workers and sweeper at once, one statement of the store at a time, and so reaches
orders of events that no scheduler would show: an owner that comes back after its lease, a message that is older than
the retry it meets, a crash between a transaction's writes and its end.
"""

from collections import Counter
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from decant import db, loop
from decant.tasks import State, chain, chord
from decant.tasks.records import FINISHED, Claimed, Failure, Outcome, Runnable
from decant.tasks.registry import registry
from decant.tasks.store.postgres import PostgresStore
from tests import work
from tests.worlds import PostgresWorld, execute

LEASE_S = 60.0
MOST_TASKS = 12


class _CrashedError(Exception):
    """Ends a transaction as a killed process does."""


class _LeaseLostError(Exception):
    """Rolls back the transaction of a worker that came too late."""


class Run:
    """A worker that has claimed a row, and may be late with it."""

    def __init__(self, claimed: Claimed, at_s: float) -> None:
        self.claimed = claimed
        self.expires_s = at_s + LEASE_S


class Lives(RuleBasedStateMachine):
    """Callers, a queue that loses and doubles, workers that die, and a sweeper."""

    def __init__(self) -> None:
        super().__init__()
        self.read_rows: dict[UUID, Any] | None = None
        self.call(execute("TRUNCATE decant.task, effect CASCADE"))
        self.store = PostgresStore()
        self.now_s = 0.0
        self.messages: list[UUID] = []
        self.runs: list[Run] = []
        self.transactional: set[UUID] = set()
        self.bodies: dict[UUID, list[UUID]] = {}
        self.ended: dict[UUID, str] = {}
        self.claims: Counter[tuple[UUID, int]] = Counter()
        self.given_back: Counter[UUID] = Counter()

    # Callers

    @precondition(lambda self: len(self.rows()) < MOST_TASKS)
    @rule(retries=st.integers(0, 2), transactional=st.booleans(), countdown=st.sampled_from([0, 0, 30, 5000]))
    def enqueue(self, retries: int, transactional: bool, countdown: float) -> None:  # noqa: FBT001  # a rule's draw
        """A caller puts a task on the queue; its message may be lost at once."""
        job = work.echo.apply_async(("x",), countdown=countdown)
        task_id = UUID(job.id)
        self.call(execute("UPDATE decant.task SET max_retries = :n WHERE id = :id", n=retries, id=task_id))
        if transactional:
            self.transactional.add(task_id)
        self.messages.append(task_id)

    @precondition(lambda self: len(self.rows()) < MOST_TASKS)
    @rule(members=st.integers(0, 3))
    def enqueue_chord(self, members: int) -> None:
        """A caller starts a workflow."""
        before = set(self.rows())
        chain(chord([work.echo.s(n) for n in range(members)], work.echo.s()), work.echo.s()).delay()
        self.read_rows = None
        new = [row for task_id, row in self.rows().items() if task_id not in before]
        self.bodies |= {row["id"]: row["parents"] for row in new if row["parents"]}
        self.messages += [row["id"] for row in new]

    @precondition(lambda self: self.rows())
    @rule(data=st.data(), terminate=st.booleans())
    def revoke(self, data: st.DataObject, terminate: bool) -> None:  # noqa: FBT001  # hypothesis passes it by name
        """A caller changes its mind."""
        running = [run.claimed.id for run in self.runs]
        task_id = data.draw(st.sampled_from(running) if running else st.sampled_from(sorted(self.rows())))
        self.call(self.store.revoke([task_id], terminate=terminate))

    # The queue

    @precondition(lambda self: self.messages)
    @rule(data=st.data())
    def lose_message(self, data: st.DataObject) -> None:
        """A message is gone."""
        self.messages.remove(data.draw(st.sampled_from(self.messages)))

    @precondition(lambda self: self.messages)
    @rule(data=st.data())
    def double_message(self, data: st.DataObject) -> None:
        """A message comes twice, or again after it was dealt with."""
        self.messages.append(data.draw(st.sampled_from(self.messages)))

    @precondition(lambda self: self.messages)
    @rule(data=st.data())
    def deliver(self, data: st.DataObject) -> None:
        """Some messages come, in any order, some of them several times."""
        batch = data.draw(st.lists(st.sampled_from(self.messages), min_size=1, max_size=6))
        for task_id in set(batch):
            self.messages.remove(task_id)
        claim = self.store.claim(batch, Runnable(list(registry)), LEASE_S, alone=len(set(batch)) == 1)
        self.take(self.call(claim))

    # Workers

    @precondition(lambda self: self.runs)
    @rule(data=st.data(), state=st.sampled_from([State.SUCCESS, State.RETRY, State.FAILURE, State.PENDING]))
    def end(self, data: st.DataObject, state: State) -> None:
        """A worker comes to the end of a run, in time or long after its lease."""
        run = data.draw(st.sampled_from(self.runs))
        self.runs.remove(run)
        if run.claimed.id in self.transactional and state is State.SUCCESS:
            owned = self.owns(run.claimed)
            self.call(self.commit(run, crash=False))
            assert not owned or self.rows()[run.claimed.id]["state"] == State.SUCCESS
        else:
            self.complete(run, state)

    @precondition(lambda self: self.runs)
    @rule()
    def end_together(self) -> None:
        """Workers write in one statement how all their runs ended."""
        plain = [run for run in self.runs if run.claimed.id not in self.transactional]
        outcomes = {
            run.claimed.id: Outcome(
                id=run.claimed.id, attempt=run.claimed.attempt, state=State.SUCCESS, result='"done"'
            )
            for run in plain
            if self.owns(run.claimed)
        }
        self.runs = [run for run in self.runs if run not in plain]
        completed = self.call(self.store.complete(list(outcomes.values()), None))
        assert completed.states.keys() == outcomes.keys()
        self.messages += [row.id for row in completed.released]

    @precondition(lambda self: self.runs)
    @rule(data=st.data())
    def crash(self, data: st.DataObject) -> None:
        """A worker dies, before or after the writes of its transaction."""
        run = data.draw(st.sampled_from(self.runs))
        self.runs.remove(run)
        if run.claimed.id in self.transactional:
            with pytest.raises(_CrashedError):
                self.call(self.commit(run, crash=True))

    @precondition(lambda self: self.runs)
    @rule(data=st.data())
    def be_overtaken(self, data: st.DataObject) -> None:
        """A worker is so late that its row goes to another; both go on."""
        task_id = data.draw(st.sampled_from(self.runs)).claimed.id
        self.pass_time(2 * LEASE_S)
        self.sweep()
        self.take(self.call(self.store.claim([task_id], Runnable(list(registry)), LEASE_S, alone=True)))

    # The sweeper, and time

    @rule(seconds=st.sampled_from([1, 20, 45, 400, 6000]))
    def pass_time(self, seconds: float) -> None:
        """The clock goes on."""
        self.call(PostgresWorld().advance(seconds))
        self.now_s += seconds

    @rule()
    def sweep(self) -> None:
        """The sweeper takes rows from lost workers, and announces what is due."""
        self.call(self.store.expire_leases(100))
        self.messages += [row.id for row in self.call(self.store.unpublished(["default"], 0, 100))]

    # What must hold

    @invariant()
    def nothing_is_forgotten(self) -> None:
        """Every row is done, or something will look at it: the sweeper, its lease, its parents."""
        rows = self.rows()
        for row in rows.values():
            looked_after = row["wake_at"] or row["lease_expires_at"] or row["state"] in FINISHED
            waits = [rows[parent]["state"] for parent in row["parents"] or ()]
            unfinished = [state for state in waits if state != State.SUCCESS]
            assert looked_after or unfinished, row
            assert row["state"] in FINISHED or row["waits_for"] == len(unfinished), row

    @invariant()
    def an_end_is_an_end(self) -> None:
        """No row leaves a final state."""
        now = {task_id: row["state"] for task_id, row in self.rows().items()}
        assert self.ended.items() <= now.items()
        self.ended = {task_id: state for task_id, state in now.items() if state in FINISHED}

    @invariant()
    def what_is_revoked_does_not_start_again(self) -> None:
        """A row that was revoked is done, or in its last run."""
        for row in self.rows().values():
            assert not row["revoked_at"] or row["state"] in {*FINISHED, State.STARTED}

    @invariant()
    def effects_happen_once(self) -> None:
        """A transactional task that succeeded has its effect once, any other has none."""
        effects = Counter(row["name"] for row in loop.run(execute("SELECT name FROM effect")))
        done = {str(task_id) for task_id in self.transactional if self.rows()[task_id]["state"] == State.SUCCESS}
        assert effects == Counter(done)

    @invariant()
    def runs_stay_within_their_attempts(self) -> None:
        """No more runs than retries and the first, those not counted that were given back unrun."""
        for task_id, row in self.rows().items():
            assert row["max_retries"] is None or row["retries"] <= row["max_retries"]
            assert row["attempt"] - self.given_back[task_id] <= row["retries"] + 1

    @invariant()
    def every_attempt_has_one_owner(self) -> None:
        """No claim was given out twice."""
        assert not self.claims or max(self.claims.values()) == 1

    @invariant()
    def bodies_run_after_their_headers(self) -> None:
        """What waits for others is never started before all of them succeeded."""
        rows = self.rows()
        for body, parents in self.bodies.items():
            if rows[body]["attempt"]:
                assert {rows[parent]["state"] for parent in parents} <= {State.SUCCESS}

    def teardown(self) -> None:
        """Left alone, with workers that work and a sweeper that sweeps, every task comes to an end."""
        for _ in range(12):
            self.call(PostgresWorld().advance(100_000))
            self.now_s += 100_000
            self.runs.clear()
            self.sweep()
            for task_id in set(self.messages):
                self.take(self.call(self.store.claim([task_id], Runnable(list(registry)), LEASE_S, alone=True)))
            self.messages.clear()
            while self.runs:
                run = self.runs.pop()
                if run.claimed.id in self.transactional:
                    self.call(self.commit(run, crash=False))
                else:
                    self.complete(run, State.SUCCESS)
        assert {row["state"] for row in self.rows().values()} <= FINISHED
        self.effects_happen_once()
        self.an_end_is_an_end()

    # How it is done

    def call[T](self, statement: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine that may change the table."""
        self.read_rows = None
        return loop.run(statement)

    def rows(self) -> dict[UUID, Any]:
        """The whole table; read once per change, since preconditions and invariants read it ten times per step."""
        if self.read_rows is None:
            self.read_rows = {row["id"]: row for row in loop.run(execute("SELECT * FROM decant.task"))}
        return self.read_rows

    def take(self, claimed: list[Claimed]) -> None:
        """Note claims, and that none was given out too early, or while another was good."""
        (clock,) = loop.run(execute("SELECT now() AS now"))
        for each in claimed:
            assert each.eta <= clock["now"], "a row was claimed before its time"
            live = [run for run in self.runs if run.claimed.id == each.id and run.expires_s > self.now_s]
            assert not live, "a row was claimed from under its owner"
            self.claims[each.id, each.attempt] += 1
            self.runs.append(Run(each, self.now_s))

    def complete(self, run: Run, state: State) -> None:
        """Write how a run ended, if the worker still holds the lease."""
        claimed = run.claimed
        exhausted = claimed.max_retries is not None and claimed.retries >= claimed.max_retries
        if state is State.RETRY and exhausted:
            state = State.FAILURE
        failure = None if state is State.SUCCESS else Failure("Error", "as drawn")
        result = '"done"' if state is State.SUCCESS else None
        outcome = Outcome(
            id=claimed.id, attempt=claimed.attempt, state=state, result=result, failure=failure, delay_s=10
        )
        owned = self.owns(claimed)
        completed = self.call(self.store.complete([outcome], None))
        assert (claimed.id in completed.states) == owned, "only the owner of a row completes it"
        if claimed.id in completed.states and state is State.PENDING:
            self.given_back[claimed.id] += 1
        self.messages += [row.id for row in completed.released]

    def owns(self, claimed: Claimed) -> bool:
        """Whether the worker that claimed a row still owns it."""
        row = self.rows()[claimed.id]
        return bool(row["state"] == State.STARTED and row["attempt"] == claimed.attempt)

    async def commit(self, run: Run, *, crash: bool) -> None:
        """Write a task's effect and its end in one transaction, unless the worker dies before the commit."""
        claimed = run.claimed
        outcome = Outcome(id=claimed.id, attempt=claimed.attempt, state=State.SUCCESS, result='"done"')
        with suppress(_LeaseLostError):
            async with db.session() as session:
                await work.record.function(str(claimed.id), session=session)
                completed = await self.store.complete([outcome], session)
                if crash:
                    raise _CrashedError
                if claimed.id not in completed.states:
                    raise _LeaseLostError


@pytest.mark.usefixtures("database_url")
def test_tasks_keep_their_promises_whatever_happens() -> None:
    """No task lost, none out of its end, one owner an attempt, effects once, runs within their attempts."""
    loop.run(execute("CREATE TABLE effect (name text NOT NULL)"))

    run_state_machine_as_test(
        Lives,
        settings=settings(
            max_examples=settings().max_examples // 5,
            stateful_step_count=40,
            phases=[Phase.generate],  # shrinking would run for minutes: the steps as they were found are sufficient
            report_multiple_bugs=False,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
