"""`link_error` of a group, chain or chord inside another workflow is called.

Reports: celery/celery 4232, 4834 and 3317.
"""

from collections.abc import Callable
from typing import Any

import pytest

from decant.tasks import chain, chord, group
from decant.testing import memory
from tests import work

FAILS = work.fail.si()
SUCCEEDS = work.add.si(1, 2)


@pytest.mark.parametrize(
    "workflow",
    [
        pytest.param(lambda errback: group(SUCCEEDS, FAILS).link_error(errback), id="outermost group"),
        pytest.param(
            lambda errback: chain(SUCCEEDS, group(SUCCEEDS, FAILS).link_error(errback), SUCCEEDS),
            id="group in a chain",
        ),
        pytest.param(
            lambda errback: chain(chain(SUCCEEDS, FAILS).link_error(errback), SUCCEEDS),
            id="chain in a chain",
        ),
        pytest.param(
            lambda errback: chain(SUCCEEDS, chord([FAILS], SUCCEEDS).link_error(errback)),
            id="chord in a chain",
        ),
        pytest.param(
            lambda errback: group(SUCCEEDS, chain(FAILS, SUCCEEDS).link_error(errback)),
            id="chain in a group",
        ),
        pytest.param(lambda errback: (SUCCEEDS | FAILS).link_error(errback) | SUCCEEDS, id="bar"),
    ],
)
async def test_errback_of_an_inner_workflow_is_called_once(workflow: Callable[[Any], Any]) -> None:
    """The error callback runs once, at every place of the workflow that has it."""
    failed: list[str] = []

    with work.listening(failed), memory() as broker:
        await workflow(work.notify.s()).delay()
        await broker.run_all()

    assert len(failed) == 1
