"""Parameters of a task: encode and validate arguments at the caller, and decode them in the worker.

Arguments are stored as JSON. A msgspec Struct derived from the function's annotations validates them at the caller and
converts them in the worker, so that the function receives a `datetime`, a `UUID` or a Struct as annotated.
"""

import hashlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from types import GenericAlias
from typing import Any, get_type_hints

import msgspec

__all__ = ["Parameters"]

_EMPTY = inspect.Parameter.empty
_VARIADIC: dict[Any, Callable[[Any], Any]] = {
    inspect.Parameter.VAR_POSITIONAL: lambda kind: GenericAlias(list, (kind,)),
    inspect.Parameter.VAR_KEYWORD: lambda kind: GenericAlias(dict, (str, kind)),
}


class Parameters:
    """Parameters and result of a task's function.

    Args:
        function: The function.
        supplied: Names of the parameters that the worker supplies: the bound `self`, the `session`.
    """

    def __init__(self, function: Callable[..., Any], supplied: Sequence[str]) -> None:
        self._function = function
        whole = inspect.signature(function)
        self._called = whole.replace(parameters=[p for name, p in whole.parameters.items() if name not in supplied])

    def encode(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[str, str]:
        """Encode arguments as a JSON array and a JSON object.

        Raises:
            TypeError: they do not fit the parameters, or are not JSON.
        """
        bound = self._called.bind(*args, **kwargs)
        return self._encode(args, kwargs, bound.arguments, self._arguments)

    def _encode(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], bound: Mapping[str, Any], kind: type[msgspec.Struct]
    ) -> tuple[str, str]:
        try:
            msgspec.json.decode(msgspec.json.encode(bound), type=kind)
            return msgspec.json.encode(list(args)).decode(), msgspec.json.encode(dict(kwargs)).decode()
        except (msgspec.ValidationError, ValueError) as error:
            raise TypeError(f"{self._name}: {error}") from error
        except TypeError as error:
            raise TypeError(f"{self._name}: {error}") from error

    def encode_partial(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[str, str]:
        """Encode arguments before which the result of the previous task will be inserted.

        Raises:
            TypeError: they cannot fit the parameters, or are not JSON.
        """
        bound = self._called.bind(None, *args, **kwargs)
        first = next(iter(self._called.parameters.values()))
        if first.kind is inspect.Parameter.VAR_POSITIONAL:
            bound.arguments[first.name] = bound.arguments[first.name][1:]
        else:
            del bound.arguments[first.name]
        return self._encode(args, kwargs, bound.arguments, self._some_arguments)

    def decode(self, args: str, kwargs: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Decode arguments to the types of the function's annotations.

        Raises:
            TypeError: they do not fit the parameters, which may have changed since.
        """
        bound = self._called.bind(*msgspec.json.decode(args), **msgspec.json.decode(kwargs))
        try:
            typed = msgspec.convert(bound.arguments, self._arguments, str_keys=True)
        except msgspec.ValidationError as error:
            raise TypeError(f"{self._name}: {error}") from error
        for name in bound.arguments:
            bound.arguments[name] = getattr(typed, name)
        return bound.args, bound.kwargs

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> inspect.BoundArguments:
        """Bind arguments to the parameters, with defaults applied.

        Raises:
            TypeError: they do not fit the parameters.
        """
        bound = self._called.bind(*args, **kwargs)
        bound.apply_defaults()
        return bound

    def identity(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
        """Digest of the arguments, the same for positional and keyword arguments.

        Raises:
            TypeError: they do not fit the parameters.
        """
        bound = self.bind(args, kwargs)
        return hashlib.sha256(msgspec.json.encode(bound.arguments, order="deterministic")).hexdigest()

    def encode_result(self, result: Any) -> str:
        """Encode the result as JSON.

        Raises:
            TypeError: the result is not JSON, or not of the annotated type.
        """
        try:
            encoded = msgspec.json.encode(result)
            msgspec.json.decode(encoded, type=self._returns)
        except (msgspec.ValidationError, ValueError) as error:
            raise TypeError(f"{self._name}: result: {error}") from error
        return encoded.decode()

    @property
    def _name(self) -> str:
        return f"{self._function.__qualname__}()"

    @cached_property
    def _hints(self) -> dict[str, Any]:
        return get_type_hints(self._function, include_extras=True)

    @cached_property
    def _returns(self) -> Any:
        return self._hints.get("return", Any)

    @cached_property
    def _arguments(self) -> type[msgspec.Struct]:
        return self._structure(all_optional=False)

    @cached_property
    def _some_arguments(self) -> type[msgspec.Struct]:
        return self._structure(all_optional=True)

    def _structure(self, *, all_optional: bool) -> type[msgspec.Struct]:
        fields = []
        for name, parameter in self._called.parameters.items():
            kind = self._hints.get(name, Any)
            kind = _VARIADIC[parameter.kind](kind) if parameter.kind in _VARIADIC else kind
            optional = all_optional or parameter.default is not _EMPTY or parameter.kind in _VARIADIC
            fields.append((name, kind, None) if optional else (name, kind))
        return msgspec.defstruct("Arguments", fields, kw_only=True, rename=None, forbid_unknown_fields=True)
