"""The examples of docs/workflows.md run."""

from decant.testing import memory
from tests.examples import inspected


async def test_example_of_branches_and_a_patch_runs() -> None:
    """The branches are steps, and a new run takes the new branch."""
    with memory() as broker:
        run = await inspected.start("order 7", ["a", "b"])
        await broker.run()

        assert await run.result(timeout=0) == ["a is fine", "b is fine"]
        assert [recorded.name for recorded in await run.steps()] == [
            "inspect-a",
            "inspect-b",
            "patch:invoice-v2",
            "tests.examples.invoice",
        ]
