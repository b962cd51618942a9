"""Arguments and results: checked at the caller, and what the annotations say in the worker."""

from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Struct

from decant.tasks.parameters import Parameters


class Color(Enum):
    """An argument that is one of a few."""

    RED = "red"


class Point(Struct):
    """An argument with a shape."""

    x: int
    y: int = 0


def plain(a: int, b: str = "b", *rest: float, c: bool = False, **more: int) -> None:
    """Every kind of parameter."""


def typed(  # noqa: PLR0913, PLR0917  # one of each
    when: datetime, day: date, amount: Decimal, who: UUID, color: Color, point: Point, names: dict[int, list[str]]
) -> None:
    """Everything that JSON has no word for."""


def bounded(count: Annotated[int, Meta(ge=1)]) -> None:
    """A value with a bound."""


def untyped(a, b=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201  # that is the case
    """No annotations at all."""


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((), {}),
        (("one",), {}),
        ((1, 2), {}),
        ((1, "b", "x"), {}),
        ((1,), {"c": 1}),
        ((1,), {"a": 1}),
        ((1,), {"more": "x"}),
        ((object(),), {}),
    ],
)
def test_arguments_that_do_not_fit_are_refused(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """With a TypeError, as a plain call would."""
    with pytest.raises(TypeError):
        Parameters(plain, ()).encode(args, kwargs)


def test_refusal_names_the_function_and_the_argument() -> None:
    """The caller finds the place."""
    with pytest.raises(TypeError, match=r"plain\(\): Expected `int`, got `str` - at `\$\.a`"):
        Parameters(plain, ()).encode(("one",), {})


def test_bounds_of_annotations_hold() -> None:
    """Those of msgspec say what a value may be."""
    with pytest.raises(TypeError, match=">= 1"):
        Parameters(bounded, ()).encode((0,), {})


def test_arguments_of_every_kind_arrive() -> None:
    """Positional, by name, and the rest."""
    parameters = Parameters(plain, ())

    args, kwargs = parameters.decode(*parameters.encode((1, "x", 2, 3.5), {"c": True, "d": 4}))

    assert (args, kwargs) == ((1, "x", 2.0, 3.5), {"c": True, "d": 4})


def test_defaults_are_left_to_the_function() -> None:
    """A default that changes before the run counts as it is then."""
    parameters = Parameters(plain, ())

    assert parameters.decode(*parameters.encode((1,), {})) == ((1,), {})


def test_arguments_arrive_with_their_types() -> None:
    """Not as the text that they travel as."""
    given_ = (datetime(2026, 1, 1, tzinfo=UTC), date(2026, 1, 2), Decimal("1.10"), UUID(int=7), Color.RED, Point(1, 2))
    parameters = Parameters(typed, ())

    args, _ = parameters.decode(*parameters.encode((*given_, {1: ["a"]}), {}))

    assert args == (*given_, {1: ["a"]})


def test_function_without_annotations_takes_any_json() -> None:
    """Nothing is checked but the number of arguments."""
    parameters = Parameters(untyped, ())

    assert parameters.decode(*parameters.encode(([1, {"x": None}],), {})) == (([1, {"x": None}],), {})


def test_supplied_parameters_are_not_the_callers() -> None:
    """The session is the worker's to give."""

    def with_session(a: int, *, session: object) -> None:
        """Takes a session."""

    parameters = Parameters(with_session, ["session"])

    assert parameters.decode(*parameters.encode((1,), {})) == ((1,), {})
    with pytest.raises(TypeError):
        parameters.encode((1,), {"session": 2})


@pytest.mark.parametrize(
    "calls", [[((1, "x"), {}), ((1,), {"b": "x"}), ((), {"b": "x", "a": 1})], [((1,), {}), ((1, "b"), {"c": False})]]
)
def test_identity_is_the_same_however_arguments_are_passed(calls: list[tuple[Any, Any]]) -> None:
    """By place, by name, or by default."""
    parameters = Parameters(plain, ())

    assert len({parameters.identity(args, kwargs) for args, kwargs in calls}) == 1


def test_identity_differs_where_arguments_do() -> None:
    """Another value is another call."""
    parameters = Parameters(plain, ())

    assert parameters.identity((1,), {}) != parameters.identity((2,), {})


def test_partial_arguments_leave_room_for_the_first() -> None:
    """What a workflow's part before it will give."""
    parameters = Parameters(plain, ())

    assert parameters.encode_partial(("x",), {}) == ('["x"]', "{}")
    with pytest.raises(TypeError):
        parameters.encode_partial((5,), {})


def test_result_that_is_not_what_was_promised_is_refused() -> None:
    """Whoever reads it relies on the annotation."""

    def promises() -> int:
        """Says int."""
        return 1

    parameters = Parameters(promises, ())

    assert parameters.encode_result(1) == "1"
    with pytest.raises(TypeError, match="result"):
        parameters.encode_result("one")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(value=JSON)
def test_any_json_comes_back_as_it_was(value: Any) -> None:
    """What goes in, comes out."""

    def takes(value: Any) -> Any:
        """Takes anything."""
        return value

    parameters = Parameters(takes, ())

    try:
        encoded = parameters.encode((value,), {})
    except TypeError as refused:
        assert "surrogates" in str(refused)  # noqa: PT017  # text that is no Unicode has no JSON
        return

    assert parameters.decode(*encoded) == ((value,), {})
