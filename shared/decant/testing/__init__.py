"""Tasks under test: kept in memory and run when told, or run at once; no SQS and no PostgreSQL.

A task that takes a `session` needs a database all the same.
"""

from decant.testing.broker import Broker, eager, memory
from decant.testing.memory import MemoryStore

__all__ = ["Broker", "MemoryStore", "eager", "memory"]
