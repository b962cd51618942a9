"""start_response, write, and what leaves: PEP 3333 from the server's side."""

from collections.abc import Iterable
from typing import Any

import pytest

from decant.web.wsgi import AsgiResponse
from tests.bridging import Message


def answered(
    status: str, headers: list[tuple[str, str]], chunks: Iterable[bytes] = (), **options: Any
) -> list[Message]:
    """The messages of a whole answer."""
    sent: list[Message] = []
    answer = AsgiResponse(lambda *messages: sent.extend(messages), **{"head_request": False, **options})
    answer.start(status, headers)
    for chunk in chunks:
        answer.write(chunk)
    answer.finish()
    return sent


def failure() -> Any:
    """An error as `sys.exc_info` returns it."""
    error = KeyError("late")
    return type(error), error, error.__traceback__


def test_answer_has_head_and_body() -> None:
    """Names become lower case, values Latin-1."""
    sent = answered("201 Created", [("X-Name", "café"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")], [b"made"])

    assert (sent[0]["status"], sent[0]["headers"]) == (
        201,
        [(b"x-name", b"caf\xe9"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")],
    )
    assert [(message["body"], message["more_body"]) for message in sent[1:]] == [(b"made", True), (b"", False)]


def test_answer_of_known_length_ends_with_its_last_byte() -> None:
    """No empty message follows, and what is too much is cut off."""
    sent = answered("200 OK", [("Content-Length", "4")], [b"fo", b"urteen", b"more"])

    assert [(message["body"], message["more_body"]) for message in sent[1:]] == [(b"fo", True), (b"ur", False)]


@pytest.mark.parametrize("header", ["Connection", "Keep-Alive", "Transfer-Encoding", "Upgrade", "TE", "Trailer"])
def test_answer_drops_hop_by_hop_headers(header: str) -> None:
    """They are between the server and its client: an app cannot set them."""
    assert answered("200 OK", [(header, "x")])[0]["headers"] == []


def test_nothing_leaves_before_the_first_chunk() -> None:
    """Until there is a byte, the app may still change its mind."""
    sent: list[Message] = []
    answer = AsgiResponse(lambda *messages: sent.extend(messages), head_request=False)

    answer.start("200 OK", [])
    answer.write(b"")

    assert sent == []


def test_start_again_with_an_error_replaces_the_head() -> None:
    """An app that failed before its first byte answers its failure."""
    sent: list[Message] = []
    answer = AsgiResponse(lambda *messages: sent.extend(messages), head_request=False)
    answer.start("200 OK", [("Content-Length", "9")])
    answer.start("500 Oops", [], failure())
    answer.write(b"sorry, failed")
    answer.finish()

    assert (sent[0]["status"], sent[1]["body"]) == (500, b"sorry, failed")


def test_start_again_with_an_error_after_the_first_byte_raises_it() -> None:
    """The head has left: there is nothing to replace."""
    answer = AsgiResponse(lambda *_messages: None, head_request=False)
    answer.start("200 OK", [])(b"begun")

    with pytest.raises(KeyError, match="late"):
        answer.start("500 Oops", [], failure())


def test_start_twice_is_refused() -> None:
    """Without an error, a second head is the app's mistake."""
    answer = AsgiResponse(lambda *_messages: None, head_request=False)
    answer.start("200 OK", [])

    with pytest.raises(RuntimeError, match="called twice"):
        answer.start("200 OK", [])


def test_answer_without_start_is_refused() -> None:
    """A body with no head is the app's mistake."""
    answer = AsgiResponse(lambda *_messages: None, head_request=False)

    with pytest.raises(RuntimeError, match=r"without calling start_response\(\)"):
        answer.write(b"body")
