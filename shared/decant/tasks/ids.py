"""UUIDv7: ids that sort by the time they were made, so that new rows lie together in an index.

Source: RFC 9562, section 5.7; `uuid.uuid7` comes with Python 3.14.
"""

import os
import time
from uuid import UUID

__all__ = ["uuid7"]


def uuid7(milliseconds: int | None = None, randomness: bytes | None = None) -> UUID:
    """Make an id.

    Args:
        milliseconds: Time since 1970 that it carries; now when not given.
        randomness: At least 10 bytes for the rest; random when not given. The same time and bytes make the same id.
    """
    time_ms = time.time_ns() // 1_000_000 if milliseconds is None else milliseconds
    rest = int.from_bytes((randomness or os.urandom(10))[:10])
    high, low = rest >> 62 & 0x0FFF, rest & 0x3FFF_FFFF_FFFF_FFFF
    return UUID(int=time_ms << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low)
