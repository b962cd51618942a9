"""Store of tasks: its protocol, and the store in use.

Production uses PostgreSQL; `decant.testing` replaces it with a store in memory.
"""

from decant.tasks.store.postgres import COUNT_LIMIT, store, using
from decant.tasks.store.protocol import Store
from decant.tasks.store.transient import TRANSIENT, is_rolled_back, is_temporary

__all__ = ["COUNT_LIMIT", "TRANSIENT", "Store", "is_rolled_back", "is_temporary", "store", "using"]
