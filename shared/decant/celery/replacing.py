"""`Task.replace`: a workflow takes the place of a running task, whose id and dependents are kept."""

from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from decant.celery.blocking import wait
from decant.celery.exceptions import ImproperlyConfigured
from decant.celery.signatures import Signature
from decant.tasks.context import Ended, current_run
from decant.tasks.publish import publish
from decant.tasks.records import Claimed
from decant.tasks.store import store
from decant.worker import outcomes

if TYPE_CHECKING:
    from decant.celery.task import Task

__all__ = ["REPLACED", "replace"]

REPLACED = "celery.replaced"
"""Name of the task that returns its argument: a replaced task receives the result of the workflow in its place."""


def replace(task: "Task", sig: Signature) -> Any:
    """Let a signature take the place of the running task.

    Returns:
        The result of the signature, when the task runs eagerly.
    Raises:
        Ended: otherwise; the run ends.
        ImproperlyConfigured: the signature is an empty chain.
    """
    run = current_run()
    if task.request.is_eager or run is None or run.claimed is None:
        return sig.apply().get()
    return _continue(task, sig, run.claimed)


def _continue(task: "Task", sig: Signature, claimed: Claimed) -> NoReturn:
    from decant.celery.sending import plan, related  # it imports the results

    made, built = plan(task.app, sig.clone())
    if built is None:
        raise ImproperlyConfigured("Cannot replace with an empty chain")
    end = made.join(built.end)
    tasks = related(made.tasks())
    last = next(new for new in tasks if new.id == end.ids[0])
    passing_on = msgspec.structs.replace(last, children=(*last.children, claimed.id))
    inserted = [*(new for new in tasks if new is not last), passing_on]

    async def insert() -> bool:
        enqueued = await store().continue_as(claimed.id, claimed.attempt, REPLACED, inserted)
        await publish(enqueued)
        return bool(enqueued)

    raise Ended(None if wait(insert()) else outcomes.revoked(claimed, "It was revoked before it was replaced."))
