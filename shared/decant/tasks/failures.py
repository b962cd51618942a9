"""Errors as they are stored."""

from traceback import TracebackException

from decant.tasks.records import Failure

__all__ = ["describe", "storable"]

_LONGEST_TEXT = 20_000  # characters of a message or a traceback that are stored


def describe(error: BaseException) -> Failure:
    """The failure to store for an error, with its traceback."""
    formatted = TracebackException.from_exception(error)  # also when the error's own str() fails
    return Failure(type(error).__name__, storable(str(formatted)), storable("".join(formatted.format())))


def storable(text: str) -> str:
    """The end of a text, without NUL and lone surrogates, which PostgreSQL's `text` cannot hold."""
    end = text[-_LONGEST_TEXT:]
    return end.replace("\x00", "\\x00").encode(errors="backslashreplace").decode()
