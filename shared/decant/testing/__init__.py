"""Test tasks without SQS and PostgreSQL: keep them in memory and run them on demand, or run them at once.

A task that takes a `session` still needs a database.
"""

from decant.testing.broker import Broker, eager, memory
from decant.testing.memory import MemoryStore

__all__ = ["Broker", "MemoryStore", "eager", "memory"]
