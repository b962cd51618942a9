"""The rows of a workflow, drafted: each knows its parents and its children before any of them is written."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal
from uuid import UUID

import msgspec

from decant.tasks.ids import uuid7
from decant.tasks.records import NewTask
from decant.tasks.registry import registry

if TYPE_CHECKING:
    from decant.tasks.canvas import Signature

__all__ = ["JOIN", "Plan", "Upstream"]

JOIN = "decant.join"
"""Name of the task that returns what it is given: it turns the results of several rows into one row's."""


class _Draft:
    def __init__(self, new: NewTask, parents: Sequence["_Draft"], takes: Literal["result", "results"] | None) -> None:
        self.new = new
        self.parents = parents
        self.takes = takes
        self.children: list[_Draft] = []
        self.id: UUID
        for parent in parents:
            parent.children.append(self)


class Upstream(msgspec.Struct, frozen=True):
    """What the next part waits for.

    Attributes:
        drafts: Rows; none at the start.
        gathered: Whether their results are handed on as a list, or the one's as it is.
    """

    drafts: tuple[_Draft, ...] = ()
    gathered: bool = False

    @property
    def ids(self) -> list[UUID]:
        """Ids of the rows, once the plan has given them."""
        return [draft.id for draft in self.drafts]


class Plan:
    """A workflow under construction.

    Attributes:
        root_id: Id of the whole.
    """

    def __init__(self) -> None:
        self.root_id = uuid7()
        self._drafts: list[_Draft] = []

    def add(self, signature: "Signature", upstream: Upstream) -> Upstream:
        """Draft the row of one call, which waits for what is upstream."""
        takes: Literal["result", "results"] | None = "results" if upstream.gathered else "result"
        args = signature.args
        if signature.immutable or not (upstream.drafts or upstream.gathered):
            takes = None
        elif not upstream.drafts:
            takes, args = None, ([], *args)  # the results of an empty group are known already
        draft = _Draft(signature.new(args, partial=takes is not None), upstream.drafts, takes)
        self._drafts.append(draft)
        return Upstream((draft,))

    def join(self, upstream: Upstream) -> Upstream:
        """Make several rows one, whose result is the list of theirs."""
        return self.add(registry[JOIN].s(), upstream) if upstream.gathered else upstream

    def nothing(self, upstream: Upstream) -> Upstream:
        """Wait for what is upstream, and hand on the empty list."""
        return self.add(registry[JOIN].si([]), upstream)

    def rows(self, on_error: Sequence[NewTask]) -> list[NewTask]:
        """The rows, with ids that ascend from parents to children: the order in which all are locked."""
        for draft, new_id in zip(self._drafts, sorted(uuid7() for _ in self._drafts), strict=True):
            draft.id = new_id
        return [
            msgspec.structs.replace(
                draft.new,
                id=draft.id,
                root_id=self.root_id,
                parents=tuple(parent.id for parent in draft.parents),
                takes=draft.takes,
                children=tuple(child.id for child in draft.children),
                unique_key=None,  # another call must not stand for a part of this workflow
                on_error=(*draft.new.on_error, *on_error),
            )
            for draft in self._drafts
        ]
