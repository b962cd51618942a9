"""Bodies and query strings as Structs, and every fault of theirs by its path."""

import io
from typing import Annotated, Any, Literal

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Struct, field, json
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import UnsupportedMediaType

from decant.errors import InvalidInput, MalformedBody
from decant.web import body, form, query


class Address(Struct, forbid_unknown_fields=True):
    """Part of a person."""

    city: str
    zip: Annotated[str, Meta(pattern=r"^\d{4}$")] | None = None


class Person(Struct, forbid_unknown_fields=True):
    """Something to parse."""

    name: Annotated[str, Meta(min_length=1)]
    age: Annotated[int, Meta(ge=0, le=150)] = 0
    address: Address | None = None
    others: list[Address] = []
    scores: dict[str, float] = {}
    born_in: str | None = field(name="bornIn", default=None)


class Search(Struct, forbid_unknown_fields=True):
    """Something to search for."""

    text: str
    limit: Annotated[int, Meta(ge=1, le=100)] = 10
    exact: bool = False
    tags: list[int] = []
    maybe: float | None = None


def parse(data: bytes, into: Any = Person, **options: Any) -> Any:
    """Parse a body as a request's."""
    with Flask("inputs").test_request_context("/", method="POST", data=data, content_type="application/json"):
        return body(into, **options)


def search(query_string: str, into: Any = Search) -> Any:
    """Parse a query string as a request's."""
    with Flask("inputs").test_request_context(f"/?{query_string}"):
        return query(into)


def faults(data: Any, into: Any = Person) -> dict[str, str]:
    """What is wrong with a body."""
    with pytest.raises(InvalidInput) as caught:
        parse(json.encode(data), into)
    return caught.value.fields


def test_body_becomes_a_struct() -> None:
    """Nested, with defaults where there is nothing."""
    parsed = parse(b'{"name": "Ada", "address": {"city": "London"}, "bornIn": "1815"}')

    assert parsed == Person(name="Ada", address=Address(city="London"), born_in="1815")


def test_number_without_a_fraction_is_an_integer() -> None:
    """1.0 and 1e1 are integers for JSON Schema; 1.5 is none, and other numbers keep their type."""
    parsed = parse(b'{"name": "Ada", "age": 1e1, "scores": {"a": 2.0, "b": 0.5}}')

    assert (parsed.age, type(parsed.age), parsed.scores) == (10, int, {"a": 2.0, "b": 0.5})
    assert [type(score) for score in parsed.scores.values()] == [float, float]
    assert faults({"name": "Ada", "age": 1.5}) == {"age": "Expected `int`, got `float`"}


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        (b"", "no body"),
        (b"{", "not valid JSON"),
        (b'{"name": "\xff"}', "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b'{"name": NaN}', "not valid JSON"),
    ],
    ids=["none", "cut off", "no UTF-8", "too deep", "no number"],
)
def test_body_that_is_no_json_is_malformed(data: bytes, detail: str) -> None:
    """400, and not 422: there is nothing to name a field of."""
    with pytest.raises(MalformedBody, match=detail):
        parse(data)


def test_default_stands_for_a_body_that_is_absent() -> None:
    """None is a default too; a body that is not JSON remains an error."""
    assert parse(b"", default=Person("Ada")) == Person("Ada")
    assert parse(b"", default=None) is None
    assert parse(b'{"name": "Grace"}', default=None) == Person("Grace")
    with pytest.raises(MalformedBody):
        parse(b"{", default=None)


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None]
)
def test_body_without_the_type_of_json_is_rejected(content_type: str | None) -> None:
    """A page of another site can send these without a preflight request, and so does curl."""
    data = b'{"name": "Ada"}'

    with (
        Flask("inputs").test_request_context("/", method="POST", data=data, content_type=content_type),
        pytest.raises(UnsupportedMediaType, match="application/json"),
    ):
        body(Person)


@pytest.mark.parametrize(
    ("data", "field"),
    [
        (b'{"name": "a\\u0000b"}', "name"),
        (b'{"name": "Ada", "others": [{"city": "\\u0000"}]}', "others[0].city"),
        (b'"\\u0000"', "$"),
    ],
)
def test_body_with_nul_is_rejected(data: bytes, field: str) -> None:
    """PostgreSQL cannot store the character NUL, which would fail later as an unknown error."""
    with (
        Flask("inputs").test_request_context("/", method="POST", data=data, content_type="application/json"),
        pytest.raises(InvalidInput) as caught,
    ):
        body(dict[str, Any])

    assert caught.value.fields == {field: "The character NUL is not allowed"}


def test_body_may_contain_an_escaped_backslash() -> None:
    """The escape sequence of NUL, written as six characters of text, is not the character NUL."""
    data = b'{"name": "\\\\u0000"}'
    with Flask("inputs").test_request_context("/", method="POST", data=data, content_type="application/json"):
        assert body(dict[str, str]) == {"name": "\\u0000"}


def test_query_with_nul_is_rejected() -> None:
    """The parameter is named."""
    with Flask("inputs").test_request_context("/?name=a%00b"), pytest.raises(InvalidInput) as caught:
        query(Person)

    assert "name" in caught.value.fields


def test_body_names_every_wrong_field() -> None:
    """Missing, unknown, of a wrong type and out of range, all at once."""
    wrong = {"age": 200, "color": "red", "address": {"zip": "12"}, "others": [{"city": "A"}, {"city": 1, "x": 2}]}

    assert faults(wrong) == {
        "name": "This field is required",
        "age": "Expected `int` <= 150",
        "color": "This field is unknown",
        "address.city": "This field is required",
        "address.zip": r"Expected `str` matching regex '^\\d{4}$'",
        "others[1].city": "Expected `str`, got `int`",
        "others[1].x": "This field is unknown",
    }


@pytest.mark.parametrize(
    ("wrong", "path"),
    [
        ({"name": ""}, "name"),
        ({"name": "A", "bornIn": 3}, "bornIn"),
        ({"name": "A", "scores": {"x": "y"}}, "scores.x"),
        ({"name": "A", "address": []}, "address"),
        ({"name": "A", "others": {}}, "others"),
        ([], "$"),
        (None, "$"),
    ],
)
def test_body_names_the_path_of_a_fault(wrong: Any, path: str) -> None:
    """By the names that the client sees."""
    assert list(faults(wrong)) == [path]


def test_body_of_a_list_names_the_place() -> None:
    """Any type that msgspec supports is accepted."""
    assert list(faults([{"city": "A"}, {}], list[Address])) == ["[1].city"]


def test_body_refuses_text_for_a_number() -> None:
    """JSON has numbers of its own."""
    assert faults({"name": "A", "age": "7"}) == {"age": "Expected `int`, got `str`"}


def test_body_of_a_tagged_union_names_its_tag() -> None:
    """A union of Structs is decoded by its tag."""

    class Red(Struct, tag=True):
        sugar: float

    class White(Struct, tag=True):
        acid: float

    assert list(faults({"type": "Rose"}, Red | White)) == ["$"]
    assert parse(b'{"type": "White", "acid": 6.5}', Red | White) == White(acid=6.5)


class Page[T](Struct):
    """A generic Struct."""

    items: list[T]


def test_body_of_a_generic_struct_names_the_place() -> None:
    """Its parameter counts."""
    assert list(faults({"items": [1, "two"]}, Page[int])) == ["items[1]"]


def test_body_with_thousands_of_faults_names_some() -> None:
    """The response must not be larger than the request."""
    assert len(faults([{}] * 5_000, list[Address])) == 100


def test_body_with_many_unknown_keys_names_twenty() -> None:
    """Known fields with errors are named in addition."""
    wrong = {"name": 1} | {f"key{number}": 1 for number in range(5_000)}

    found = faults(wrong)

    assert found.pop("name") == "Expected `str`, got `int`"
    assert list(found) == [f"key{number}" for number in range(20)]


@pytest.mark.parametrize(
    ("wrong", "into"),
    [
        ({"name": "A", "k" * 1_000_000: 1}, Person),
        ({"name": "A", "scores": {"k" * 1_000_000: "x"}}, Person),
        ("v" * 1_000_000, Literal["red", "white"]),
    ],
    ids=["unknown key", "key of a mapping", "value that a message contains"],
)
def test_body_errors_truncate_text_of_the_client(wrong: Any, into: Any) -> None:
    """Paths and messages have at most 100 characters."""
    [(path, problem)] = faults(wrong, into).items()

    assert max(len(path), len(problem)) == 100
    assert path.endswith("…") or problem.endswith("…")


def test_body_may_be_parsed_twice() -> None:
    """A hook that looks does not take it from the view."""
    with Flask("inputs").test_request_context(
        "/", method="POST", content_type="application/json", data=b'{"name": "Ada"}'
    ):
        assert body(Person) == body(Person)


def test_query_is_converted_from_text() -> None:
    """Numbers, truth values and lists."""
    assert search("text=wine&limit=5&exact=true&tags=1&tags=2&maybe=0.5") == Search(
        text="wine", limit=5, exact=True, tags=[1, 2], maybe=0.5
    )


def test_query_with_one_value_fills_a_list() -> None:
    """A list of one is no scalar."""
    assert search("text=wine&tags=1").tags == [1]


@pytest.mark.parametrize("null", ["null", "NULL", "Null"])
def test_query_rejects_null_where_no_text_is_expected(null: str) -> None:
    """A filter that is set to null is an error and not the absence of a filter; text may be `null`."""
    with pytest.raises(InvalidInput) as caught:
        search(f"text={null}&maybe={null}")

    assert caught.value.fields == {"maybe": "Expected a value, got null"}


@pytest.mark.parametrize(
    ("query_string", "wrong"),
    [
        ("", {"text"}),
        ("text=a&limit=0&exact=perhaps", {"limit", "exact"}),
        ("text=a&tags=1&tags=x&colour=red", {"tags[1]", "colour"}),
        ("text=a&text=b", {"text"}),
        ("text=a&maybe=", {"maybe"}),
        ("text=a&limit=1e400", {"limit"}),
    ],
)
def test_query_names_every_wrong_parameter(query_string: str, wrong: set[str]) -> None:
    """Missing, wrong, unknown, and given twice where one is meant."""
    with pytest.raises(InvalidInput) as caught:
        search(query_string)

    assert set(caught.value.fields) == wrong


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "age", "city", "x"]), inner),
    max_leaves=8,
)


@given(anything)
def test_body_is_parsed_or_told_what_is_wrong(data: Any) -> None:
    """Any JSON gives a Person or a problem with a path; never another error."""
    try:
        parsed, problems = parse(json.encode(data)), {}
    except InvalidInput as error:
        parsed, problems = None, error.fields

    assert isinstance(parsed, Person) != bool(problems)
    assert all(path and problem for path, problem in problems.items())


class Upload(Struct, forbid_unknown_fields=True):
    """A form with files."""

    title: str
    pages: Annotated[int, Meta(ge=1)]
    file: FileStorage
    more: list[FileStorage] = []
    tags: list[str] = []


def submit(data: dict[str, Any], into: Any = Upload, content_type: str | None = "multipart/form-data") -> Any:
    """Parse a form as a request's."""
    with Flask("inputs").test_request_context("/", method="POST", data=data, content_type=content_type):
        return form(into)


def a_file(text: bytes = b"text") -> tuple[io.BytesIO, str]:
    """A file of Flask's test client."""
    return io.BytesIO(text), "a.txt"


def test_form_with_files() -> None:
    """Texts are converted, repeated fields fill a list, and files can be read."""
    data = {"title": "A", "pages": "3", "file": a_file(), "more": [a_file(), a_file()], "tags": ["x", "y"]}
    with Flask("inputs").test_request_context("/", method="POST", data=data):
        upload = form(Upload)

        assert (upload.title, upload.pages, upload.tags) == ("A", 3, ["x", "y"])
        assert (upload.file.filename, upload.file.read(), len(upload.more)) == ("a.txt", b"text", 2)


def test_urlencoded_form() -> None:
    """A form without files may be URL-encoded."""
    assert submit({"text": "a", "limit": "5"}, Search, "application/x-www-form-urlencoded") == Search("a", 5)


def test_form_reports_all_errors() -> None:
    """All fields are named, as for JSON."""
    with pytest.raises(InvalidInput) as caught:
        submit({"pages": "0", "file": "a text in place of a file", "other": "x"})

    assert caught.value.fields.keys() == {"title", "pages", "file", "other"}


def test_form_of_another_type_is_rejected() -> None:
    """JSON is not a form."""
    with pytest.raises(UnsupportedMediaType):
        submit({}, content_type="application/json")
