"""Public names of tasks, workflows, worker and test support."""

from importlib import import_module

import pytest

NAMES = {
    "decant.tasks": (
        "AsyncResult Failure GroupResult Request Retry Run ShownStatus Signature State Status Task WorkflowResult "
        "chain chord cron current_run every group join publishing task"
    ),
    "decant.tasks.admin": (
        "COUNT_LIMIT Page PausedQueue QueueStatistics Summary list_tasks pause_queue paused_queues queue_statistics "
        "redrive resume_queue"
    ),
    "decant.tasks.schedule": "Missed Schedule cron every",
    "decant.worker": "lambda_handler run_forever",
    "decant.worker.sweeper": "SweepCounts lambda_handler scheduled_task sweep",
    "decant.worker.dead_letters": "close_dead_lettered lambda_handler",
    "decant.workflows": (
        "Child StepFailed StepInterrupted StepStatus WaitTimeout Workflow WorkflowChanged WorkflowRun continue_as_new "
        "now patched random sleep start step step_key uuid wait_for workflow"
    ),
    "decant.testing": "Broker MemoryStore eager memory",
    "decant.cli": "main",
}


@pytest.mark.parametrize("module", NAMES)
def test_public_names_are_those_of_the_module(module: str) -> None:
    """Functions, documentation and applications import these names."""
    imported = import_module(module)

    assert sorted(imported.__all__) == sorted(NAMES[module].split())
    assert all(hasattr(imported, name) for name in imported.__all__)
