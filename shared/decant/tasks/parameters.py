"""Parameters of a task: encode and validate arguments at the caller, and decode them in the worker.

Arguments are stored as JSON. A msgspec Struct derived from the function's annotations validates them at the caller and
converts them in the worker, so that the function receives a `datetime`, a `UUID` or a Struct as annotated.
"""

import hashlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from types import GenericAlias, SimpleNamespace
from typing import Any, Never, NoReturn, get_type_hints

import msgspec

from decant.tasks import checks

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
    Raises:
        TypeError: an annotation cannot be resolved, or JSON cannot be decoded to it.
    """

    def __init__(self, function: Callable[..., Any], supplied: Sequence[str]) -> None:
        self._function = function
        whole = inspect.signature(function)
        self._called = whole.replace(parameters=[p for name, p in whole.parameters.items() if name not in supplied])
        self._hints = {name: self._checked(parameter) for name, parameter in self._called.parameters.items()}
        returns = inspect.Parameter("return_value", inspect.Parameter.KEYWORD_ONLY, annotation=whole.return_annotation)
        self._returns = self._checked(returns)

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
            msgspec.json.decode(checks.encode(bound), type=kind)
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
            encoded = checks.encode(result)
            msgspec.json.decode(encoded, type=self._returns)
        except (msgspec.ValidationError, ValueError) as error:
            raise TypeError(f"{self._name}: result: {error}") from error
        return encoded.decode()

    @property
    def _name(self) -> str:
        return f"{self._function.__qualname__}()"

    def _checked(self, parameter: inspect.Parameter) -> Any:
        """Resolve an annotation, and check that msgspec can decode it."""
        if parameter.annotation is _EMPTY:
            return Any
        annotated = SimpleNamespace(__annotations__={parameter.name: parameter.annotation})
        names = getattr(inspect.unwrap(self._function), "__globals__", {})
        try:
            hint = get_type_hints(annotated, names, include_extras=True)[parameter.name]
        except NameError as error:
            message = (
                f"{error}. It must be imported at runtime, not under TYPE_CHECKING, and before the task is defined"
            )
            raise TypeError(f"{self._name}: annotation of {parameter.name}: {message}.") from error
        hint = Any if hint is Never or hint is NoReturn else hint
        try:
            msgspec.json.Decoder(hint)
        except TypeError as error:
            raise TypeError(f"{self._name}: annotation of {parameter.name}: {error}") from error
        return hint

    @cached_property
    def _arguments(self) -> type[msgspec.Struct]:
        return self._structure(all_optional=False)

    @cached_property
    def _some_arguments(self) -> type[msgspec.Struct]:
        return self._structure(all_optional=True)

    def _structure(self, *, all_optional: bool) -> type[msgspec.Struct]:
        fields = []
        for name, parameter in self._called.parameters.items():
            kind = self._hints[name]
            kind = _VARIADIC[parameter.kind](kind) if parameter.kind in _VARIADIC else kind
            optional = all_optional or parameter.default is not _EMPTY or parameter.kind in _VARIADIC
            fields.append((name, kind, None) if optional else (name, kind))
        return msgspec.defstruct("Arguments", fields, kw_only=True, rename=None, forbid_unknown_fields=True)
