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

from importlib import import_module
from typing import TYPE_CHECKING, Any

from decant.errors import StepFailed, StepInterrupted, WaitTimeout, WorkflowChanged
from decant.workflows.workflow import Workflow, workflow

if TYPE_CHECKING:
    from decant.workflows.children import Child, start
    from decant.workflows.records import StepStatus
    from decant.workflows.runs import WorkflowRun
    from decant.workflows.steps import step, step_key
    from decant.workflows.values import continue_as_new, now, patched, random, uuid
    from decant.workflows.waits import sleep, wait_for

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

_MODULES = {
    "children": ("Child", "start"),
    "records": ("StepStatus",),
    "runs": ("WorkflowRun",),
    "steps": ("step", "step_key"),
    "values": ("continue_as_new", "now", "patched", "random", "uuid"),
    "waits": ("sleep", "wait_for"),
}


def __getattr__(name: str) -> Any:
    """Import a public name at its first use, so that Lambda functions import only what their workflows use."""
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
