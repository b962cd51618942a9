"""Arguments and results of Celery's tasks: JSON, checked by number and name where the task is called.

Annotations are not checked, as in Celery. See `decant.tasks.parameters` for the methods.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from decant.celery.serialization import decode, encode
from decant.tasks.parameters import Parameters

__all__ = ["CallParameters", "Encoded"]


class Encoded(str):
    """A result that is JSON already."""

    __slots__ = ()


class CallParameters(Parameters):
    """Parameters of a task.

    Args:
        name: Name of the task.
        function: Its function, whose signature is checked; None for no check.
    """

    def __init__(self, name: str, function: Callable[..., Any] | None) -> None:
        self._task = name
        self._signature = None if function is None else inspect.signature(function)

    def encode(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[str, str]:
        """Encode arguments.

        Raises:
            TypeError: they do not fit the parameters, or are not JSON.
        """
        self._check(args, kwargs)
        return self._encoded(args, kwargs)

    def encode_partial(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[str, str]:
        """Encode arguments before which a result will be inserted."""
        self._check((None, *args), kwargs)
        return self._encoded(args, kwargs)

    def _check(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        if self._signature is None:
            return
        try:
            self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{self._task}{self._signature}: {error}") from None

    def _encoded(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[str, str]:
        subject = f"Arguments of {self._task}"
        return encode(list(args), subject), encode(dict(kwargs), subject)

    def decode(self, args: str, kwargs: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Decode arguments."""
        return tuple(decode(args)), decode(kwargs)

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> inspect.BoundArguments:
        """Not used: tasks of Celery have no options that need bound arguments."""
        raise NotImplementedError("Tasks of decant.celery have no options that need bound arguments.")

    def encode_result(self, result: Any) -> str:
        """Encode the result.

        Raises:
            EncodeError: it is not JSON.
        """
        return str(result) if isinstance(result, Encoded) else encode(result, f"Result of {self._task}")

    def decode_result(self, encoded: str | bytes) -> Any:
        """Decode a stored result."""
        return decode(encoded if isinstance(encoded, str) else encoded.decode())
