"""Progress of a run: the calls of its code, and what earlier claims have recorded for them."""

import asyncio
import logging
from collections import Counter
from collections.abc import Collection
from typing import Any, NoReturn

import msgspec

from decant.errors import WorkflowChanged
from decant.tasks.context import Control, Run, running
from decant.tasks.records import Claimed
from decant.workflows.batches import batches
from decant.workflows.errors import interruption
from decant.workflows.records import Kind, NewStep, Recorded, StepKey
from decant.workflows.store import steps
from decant.workflows.suspension import Call, SuspendableRun

__all__ = ["Call", "Progress", "current_progress"]

log = logging.getLogger("decant.tasks")

_CHECK_CODE_S = 300.0
"""Seconds until a run whose code has changed is tried again."""

MAX_STEPS = 10_000
"""Most steps of a run."""

_WARN_STEPS = 8_000


class Progress(SuspendableRun):
    """Steps of a run.

    Args:
        run: The run.
        claimed: Its task.
        control: The worker's control of the run.
    Attributes:
        recorded: Steps that earlier claims have recorded.
        batches: The statements that it shares with other runs.
    """

    def __init__(self, run: Run, claimed: Claimed, control: Control) -> None:
        super().__init__(run, claimed, control)
        self.recorded: dict[StepKey, Recorded] = {}
        self._counts: Counter[str] = Counter()
        self._seq = 0
        self._unused = set[StepKey]()  # recorded results that were not returned yet
        self._loading: asyncio.Future[list[Recorded]] | None = None
        self._loaded = claimed.attempt == 1
        self._patches: list[NewStep] = []
        self.batches = batches()

    @property
    def is_replaying(self) -> bool:
        """Whether there are recorded steps that the code has not requested yet."""
        return bool(self._unused)

    @property
    def is_loaded(self) -> bool:
        """Whether the recorded steps were read."""
        return self._loaded

    async def load(self) -> None:
        """Read the recorded steps, once, and together with those of other runs."""
        if self._loading is None:
            self._loading = self.batches.load(self.claimed.id)
        with self.held():
            rows = await asyncio.shield(self._loading)
        if not self._loaded:
            self.remember(rows)

    def remember(self, rows: Collection[Recorded]) -> None:
        """Take over the recorded steps."""
        self._loaded = True
        self.recorded = {row.key: row for row in rows}
        self._unused = {key for key, row in self.recorded.items() if row.kind != "begun"}
        self._loaded_at = self._loop.time()

    async def call(self, name: str, kind: Kind) -> Call:
        """Count a call, and look up its record.

        Raises:
            CancelledError: the run has ended.
            RuntimeError: the run has too many steps.
        """
        self.check_open()
        key, seq = StepKey(name, self._counts[name]), self._seq
        self._counts[name] += 1
        self._seq = seq + 1
        if self._seq >= _WARN_STEPS:
            self._limit_steps()
        if not self._loaded:
            await self.load()
        found = self.recorded.get(key)
        if found is not None:
            self._unused.discard(key)
            if found.kind not in {kind, "begun"}:
                await self.change(f"{name} was recorded as a {found.kind}, and is now a {kind}.")
        return Call(key, seq, found)

    def _limit_steps(self) -> None:
        if self._seq > MAX_STEPS:
            raise RuntimeError(f"A run has at most {MAX_STEPS} steps: call continue_as_new() before, or start children")
        if self._seq == _WARN_STEPS:
            extra = {"task_id": str(self.claimed.id), "task": self.claimed.name, "most": MAX_STEPS}
            log.warning("A run has recorded 80 % of the steps that it may have", extra=extra)

    def patch(self, name: str) -> bool:
        """Whether the run takes the new branch of a patch; it does so unless it has recorded steps after it."""
        key = StepKey(f"patch:{name}", 0)
        found = self.recorded.get(key)
        if found is None:
            result = b"false" if self.is_replaying else b"true"
            new = self.new(Call(key, self._seq, None), "patch", result)
            self._patches.append(new)
            self.recorded[key] = found = Recorded(key.name, key.n, self._seq, "patch", result.decode(), None, None)
        self._unused.discard(key)
        return found.result == "true"

    def left_s(self, found: Recorded) -> float:
        """Seconds until the time of a recorded step; 0 when it has none or is past."""
        return max(0.0, (found.left_s or 0.0) - (self._loop.time() - self._loaded_at))

    def new(self, call: Call, kind: Kind, result: bytes | None = None, **fields: Any) -> NewStep:
        """The step to record for a call."""
        raw = None if result in {None, b"null"} else msgspec.Raw(result or b"")
        return NewStep(
            task_id=self.claimed.id,
            name=call.key.name,
            n=call.key.n,
            seq=call.seq,
            attempt=self.claimed.attempt,
            kind=kind,
            result=raw,
            **fields,
        )

    def record_patches(self) -> list[asyncio.Future[bool]]:
        """Record the patches before the next step, with the same or an earlier statement."""
        patches, self._patches = self._patches, []
        return [self.batches.record(patch) for patch in patches]

    async def record(self, new: NewStep) -> Recorded | None:
        """Record a step.

        Returns:
            None, or the record of an earlier claim, which takes precedence.
        Raises:
            CancelledError: the lease was lost.
        """
        self.record_patches()
        with self.held():
            is_recorded = await self.batches.record(new)
        if is_recorded:
            self.made += new.kind != "begun"
            return None
        return await self.find_conflict(new.key)

    async def find_conflict(self, key: StepKey) -> Recorded:
        """The record because of which a step could not be recorded.

        Raises:
            CancelledError: there is none: the lease was lost.
        """
        with self.held():
            rows = (await steps().load([self.claimed.id]))[self.claimed.id]
        found = next((row for row in rows if row.key == key and row.kind != "begun"), None)
        if found is None:
            self.lose_lease()
        return found

    def record_interrupted(self, calls: Collection[Call]) -> list[asyncio.Future[bool]]:
        """Record steps that are interrupted although they had all the time of the claim."""
        return [self.batches.record(self.new(call, "begun", error=interruption(call.found))) for call in calls]

    async def change(self, reason: str) -> NoReturn:
        """Suspend the run because the code does not match what it has recorded."""
        error = WorkflowChanged(f"{reason} The run waits until the code matches, or until it is forked.")
        log.error("Workflow changed", extra={"task_id": str(self.claimed.id), "task": self.claimed.name})
        await self.release(_CHECK_CODE_S, error)

    async def check_finished(self) -> None:
        """Check that the code has requested all recorded steps."""
        if self._unused:
            key = min(self._unused, key=lambda key: self.recorded[key].seq)
            await self.change(f"The code ends without the recorded step {key.name}.")


def current_progress() -> Progress | None:
    """The progress of the current run; None outside of a worker.

    Raises:
        CancelledError: the run has ended, and is that of a task without steps.
    """
    run = running.get()
    if run is None or run.claimed is None or run.control is None:
        return None
    if run.progress is None:
        control = run.control()
        if control is None:
            raise asyncio.CancelledError("The run has ended.")
        run.progress = Progress(run, run.claimed, control)
    progress: Progress = run.progress
    return progress
