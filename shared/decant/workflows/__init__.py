"""Durable workflows: async functions whose steps, sleeps and signals are recorded, so that they survive their workers.

    @workflow
    async def onboard(user_id: UUID) -> str:
        user = await step(create_account, user_id)               # takes a `session`: exactly once
        await step(mail.send, user.email, "welcome", retries=5)  # at least once, with the same step_key()
        await sleep(days=3)
        approval = await wait_for("approved", Approval, timeout=timedelta(days=7))
        return approval.by

    run = await onboard.start(user_id, id=f"onboard-{user_id}", session=session)
    await run.send("approved", Approval(by="ada"), session=session)

The page "Durable workflows" describes which code may stand between the steps.
"""

from decant.errors import StepFailed, StepInterrupted, WaitTimeout, WorkflowChanged
from decant.workflows.children import Child, start
from decant.workflows.records import StepStatus
from decant.workflows.runs import WorkflowRun
from decant.workflows.steps import step, step_key
from decant.workflows.values import continue_as_new, now, patched, random, uuid
from decant.workflows.waits import sleep, wait_for
from decant.workflows.workflow import Workflow, workflow

__all__ = [
    "Child",
    "StepFailed",
    "StepInterrupted",
    "StepStatus",
    "WaitTimeout",
    "Workflow",
    "WorkflowChanged",
    "WorkflowRun",
    "continue_as_new",
    "now",
    "patched",
    "random",
    "sleep",
    "start",
    "step",
    "step_key",
    "uuid",
    "wait_for",
    "workflow",
]
