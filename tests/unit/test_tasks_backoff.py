"""Delays of retries, and ids of ticks."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decant.tasks.backoff import backoff_s
from decant.tasks.ids import uuid7, uuid7s


@pytest.mark.parametrize(("retries", "expected"), [(0, 1), (1, 2), (2, 4), (5, 32), (9, 512), (10, 600), (5_000, 600)])
def test_backoff_doubles_up_to_its_maximum(retries: int, expected: float) -> None:
    """The delay doubles as in Celery, without an overflow after many retries."""
    assert backoff_s(retries, 1, 600, jitter=False) == expected


@given(retries=st.integers(0, 10_000), factor=st.floats(0.01, 1000), maximum_s=st.floats(0.5, 100_000))
def test_backoff_with_jitter_is_never_nothing_and_never_too_much(retries: int, factor: float, maximum_s: float) -> None:
    """The delay is between 1 s and the delay without jitter."""
    ceiling_s = backoff_s(retries, factor, maximum_s, jitter=False)

    assert 1 <= backoff_s(retries, factor, maximum_s, jitter=True) <= ceiling_s <= max(1, maximum_s)


@given(milliseconds=st.integers(0, 2**48 - 1), randomness=st.binary(min_size=10, max_size=32))
def test_id_of_the_same_time_and_bytes_is_the_same(milliseconds: int, randomness: bytes) -> None:
    """The id of a tick is derived from its name and time."""
    made = uuid7(milliseconds, randomness)

    assert made == uuid7(milliseconds, randomness)
    assert (made.version, made.variant, made.int >> 80) == (7, "specified in RFC 4122", milliseconds)


def test_ids_differ() -> None:
    """A thousand ids of the same millisecond are unique."""
    assert len({uuid7() for _ in range(1000)}) == 1000


@pytest.mark.parametrize("count", [0, 1, 1000])
def test_ids_that_are_created_together_ascend(count: int) -> None:
    """They are unique ids of the present time."""
    first_ms, made, last_ms = time.time_ns() // 1_000_000, uuid7s(count), time.time_ns() // 1_000_000

    assert len(made) == count
    assert made == sorted(set(made))
    assert {(one.version, one.variant) for one in made} <= {(7, "specified in RFC 4122")}
    assert all(first_ms <= one.int >> 80 <= last_ms for one in made)
