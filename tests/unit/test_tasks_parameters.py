"""Arguments and results: validated at the caller, and converted in the worker."""

import importlib
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, NoReturn
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Struct

from decant.tasks import checks
from decant.tasks.parameters import Parameters


class Color(Enum):
    """An enumeration."""

    RED = "red"


class Point(Struct):
    """A structured argument."""

    x: int
    y: int = 0


def plain(a: int, b: str = "b", *rest: float, c: bool = False, **more: int) -> None:
    """Every kind of parameter."""


def typed(  # noqa: PLR0913, PLR0917  # one of each
    when: datetime, day: date, amount: Decimal, who: UUID, color: Color, point: Point, names: dict[int, list[str]]
) -> None:
    """Types that JSON does not have."""


def bounded(count: Annotated[int, Meta(ge=1)]) -> None:
    """A bounded value."""


def untyped(a, b=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201  # that is the case
    """A function without annotations."""


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
    """The error is that of a direct call."""
    with pytest.raises(TypeError):
        Parameters(plain, ()).encode(args, kwargs)


def test_missing_keyword_is_refused() -> None:
    """A parameter without a default that is passed by its name must be given."""

    def named(a: int, *, b: int) -> None: ...

    with pytest.raises(TypeError):
        Parameters(named, ()).encode((1,), {})


def test_refusal_names_the_function_and_the_argument() -> None:
    """The error names the path of the value."""
    with pytest.raises(TypeError, match=r"plain\(\): Expected `int`, got `str` - at `\$\.a`"):
        Parameters(plain, ()).encode(("one",), {})


def test_bounds_of_annotations_hold() -> None:
    """Constraints of msgspec apply."""
    with pytest.raises(TypeError, match=">= 1"):
        Parameters(bounded, ()).encode((0,), {})


def test_arguments_of_every_kind_arrive() -> None:
    """All kinds of parameters are decoded."""
    parameters = Parameters(plain, ())

    args, kwargs = parameters.decode(*parameters.encode((1, "x", 2, 3.5), {"c": True, "d": 4}))

    assert (args, kwargs) == ((1, "x", 2.0, 3.5), {"c": True, "d": 4})


def test_defaults_are_left_to_the_function() -> None:
    """Defaults are those of the worker's code."""
    parameters = Parameters(plain, ())

    assert parameters.decode(*parameters.encode((1,), {})) == ((1,), {})


def test_arguments_arrive_with_their_types() -> None:
    """Values have their annotated types."""
    given_ = (datetime(2026, 1, 1, tzinfo=UTC), date(2026, 1, 2), Decimal("1.10"), UUID(int=7), Color.RED, Point(1, 2))
    parameters = Parameters(typed, ())

    args, _ = parameters.decode(*parameters.encode((*given_, {1: ["a"]}), {}))

    assert args == (*given_, {1: ["a"]})


def test_function_without_annotations_takes_any_json() -> None:
    """Only the number of arguments is checked."""
    parameters = Parameters(untyped, ())

    assert parameters.decode(*parameters.encode(([1, {"x": None}],), {})) == (([1, {"x": None}],), {})


def test_supplied_parameters_are_not_the_callers() -> None:
    """The session is supplied by the worker."""

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
    """Equal arguments have the same digest."""
    parameters = Parameters(plain, ())

    assert len({parameters.identity(args, kwargs) for args, kwargs in calls}) == 1


def test_identity_differs_where_arguments_do() -> None:
    """Other arguments have another digest."""
    parameters = Parameters(plain, ())

    assert parameters.identity((1,), {}) != parameters.identity((2,), {})


def test_partial_arguments_leave_room_for_the_first() -> None:
    """The first argument comes from the previous task."""
    parameters = Parameters(plain, ())

    assert parameters.encode_partial(("x",), {}) == ('["x"]', "{}")
    with pytest.raises(TypeError):
        parameters.encode_partial((5,), {})


def test_result_that_is_not_what_was_promised_is_refused() -> None:
    """The result must have the annotated type."""

    def promises() -> int:
        """Declares int."""
        return 1

    parameters = Parameters(promises, ())

    assert parameters.encode_result(1) == "1"
    with pytest.raises(TypeError, match="result"):
        parameters.encode_result("one")


def in_a_union(when: str | datetime) -> None:
    """Takes a union whose members look alike in JSON."""


def returns_a_union() -> str | datetime:
    """Returns such a union."""
    return ""


def unresolved(order: "Order") -> None:  # type: ignore[name-defined]  # noqa: F821  # that is the case
    """Takes a type that is not imported at runtime."""


@pytest.mark.parametrize(
    ("function", "message"),
    [
        pytest.param(in_a_union, r"in_a_union\(\): annotation of when: Type unions may not", id="argument"),
        pytest.param(returns_a_union, r"annotation of return_value: Type unions may not", id="result"),
        pytest.param(unresolved, r"annotation of order: name 'Order' is not defined. Import it before", id="name"),
    ],
)
def test_annotation_that_cannot_be_used_is_refused_at_the_definition(function: Any, message: str) -> None:
    """The error names the function, the parameter and the reason."""
    with pytest.raises(TypeError, match=message):
        Parameters(function, ())


MODULE = """
from __future__ import annotations
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import collections.abc
    import decimal as numbers
    from datetime import datetime as When
    from tests import work
    from .circular import Order

def resolves(when: When, amounts: collections.abc.Sequence[numbers.Decimal]) -> When: ...
def is_circular(order: Order) -> None: ...
"""


def test_annotations_imported_under_type_checking_resolve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Linters move imports there that only annotations use."""
    (tmp_path / "checked").mkdir()
    (tmp_path / "checked/__init__.py").write_text(MODULE)
    (tmp_path / "checked/circular.py").write_text("import missing_module")
    monkeypatch.syspath_prepend(tmp_path)
    checked = importlib.import_module("checked")

    args, _ = Parameters(checked.resolves, ()).encode(("2030-01-01T00:00:00Z", ["1.5"]), {})

    assert Parameters(checked.resolves, ()).decode(args, "{}")[0] == (
        datetime(2030, 1, 1, tzinfo=UTC),
        [Decimal("1.5")],
    )
    with pytest.raises(TypeError, match="name 'Order' is not defined"):
        Parameters(checked.is_circular, ())


def test_annotation_of_a_supplied_parameter_need_not_resolve() -> None:
    """The type of the session may be imported under TYPE_CHECKING."""

    def with_session(a: "int", *, session: "AsyncSession") -> "None":  # type: ignore[name-defined]  # noqa: F821  # that is the case
        """Takes a session."""

    with pytest.raises(TypeError, match="Expected `int`"):
        Parameters(with_session, ["session"]).encode(("x",), {})


def test_function_that_never_returns_can_be_a_task() -> None:
    """`NoReturn` is no type of a result."""

    def never() -> NoReturn:
        """Raise an error."""
        raise LookupError

    assert Parameters(never, ()).encode((), {}) == ("[]", "{}")


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("wrap", [lambda n: n, lambda n: [None, {"x": (n,)}]])
def test_numbers_that_are_not_finite_are_refused(number: float, wrap: Any) -> None:
    """JSON has no NaN and no infinity: arguments, results and keys that contain them are rejected."""
    parameters = Parameters(untyped, ())

    with pytest.raises(TypeError, match=r"untyped\(\): NaN and infinity are not JSON"):
        parameters.encode((wrap(number),), {})
    with pytest.raises(TypeError, match="result: NaN and infinity are not JSON"):
        parameters.encode_result(wrap(number))
    with pytest.raises(TypeError, match="idempotency_key must be JSON: NaN"):
        checks.key("idempotency_key", wrap(number))


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
    """Any JSON is decoded to an equal value."""

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
