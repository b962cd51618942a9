"""Resources of the local cloud's processes."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass

import psutil

__all__ = ["Resources"]


@dataclass(frozen=True, kw_only=True)
class Resources:
    """Sums over processes and their descendants."""

    processes: int
    descriptors: int
    memory_mb: float

    @classmethod
    def of(cls, pids: Iterable[int]) -> "Resources":
        """As they are now; memory that processes share is counted once."""
        found = [each for pid in pids for each in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True))]
        descriptors, memory_bytes = 0, 0
        for process in found:
            with suppress(psutil.NoSuchProcess):  # it has ended in the meantime
                descriptors += process.num_fds()
                memory = process.memory_full_info()
                memory_bytes += getattr(memory, "pss", memory.rss)
        return cls(processes=len(found), descriptors=descriptors, memory_mb=round(memory_bytes / 1024**2, 1))

    @classmethod
    def least(cls, samples: Iterable["Resources"]) -> "Resources":
        """The least value of each resource."""
        every = list(samples)
        return cls(
            processes=min(sample.processes for sample in every),
            descriptors=min(sample.descriptors for sample in every),
            memory_mb=min(sample.memory_mb for sample in every),
        )

    def growth(self, before: "Resources") -> dict[str, float]:
        """Ratio to the resources before, by name."""
        return {name: round(value / asdict(before)[name], 2) for name, value in asdict(self).items()}
