"""UUIDv7: ids that sort by time of creation, so that new rows are adjacent in an index.

Source: RFC 9562, section 5.7; `uuid.uuid7` comes with Python 3.14.
"""

import os
import time
from uuid import UUID, SafeUUID

__all__ = ["uuid7"]


def uuid7(milliseconds: int | None = None, randomness: bytes | None = None) -> UUID:
    """Create an id.

    Args:
        milliseconds: Unix time that the id contains; by default the present time.
        randomness: At least 10 bytes for the rest; random by default. The same time and bytes give the same id.
    """
    time_ms = time.time_ns() // 1_000_000 if milliseconds is None else milliseconds
    rest = int.from_bytes((randomness or os.urandom(10))[:10])
    high, low = rest >> 62 & 0x0FFF, rest & 0x3FFF_FFFF_FFFF_FFFF
    made = object.__new__(UUID)  # as `UUID._from_int` of Python 3.14: the checks of the constructor take longer
    object.__setattr__(made, "int", time_ms << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low)
    object.__setattr__(made, "is_safe", SafeUUID.unknown)
    return made
