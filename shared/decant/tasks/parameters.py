"""Parameters of a task: encode and validate arguments at the caller, and decode them in the worker.

Arguments are stored as JSON. A msgspec Struct derived from the function's annotations validates them at the caller and
converts them in the worker, so that the function receives a `datetime`, a `UUID` or a Struct as annotated.
"""

import ast
import hashlib
import inspect
import math
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache
from importlib.util import resolve_name
from types import GenericAlias, SimpleNamespace
from typing import Any, Literal, NamedTuple, Never, NoReturn, get_type_hints

import msgspec

__all__ = ["Parameters", "encode"]

_EMPTY = inspect.Parameter.empty
_VARIADIC: dict[Any, Callable[[Any], Any]] = {
    inspect.Parameter.VAR_POSITIONAL: lambda kind: GenericAlias(list, (kind,)),
    inspect.Parameter.VAR_KEYWORD: lambda kind: GenericAlias(dict, (str, kind)),
}


_SHAPES = 256  # of calls of a task; more are bound anew


def encode(value: Any, *, order: Literal["deterministic"] | None = None) -> bytes:
    """Encode a value as JSON.

    Args:
        value: The value.
        order: "deterministic" sorts the keys of objects, so that equal values have equal JSON.
    Raises:
        TypeError: the value is not JSON.
        ValueError: the value contains NaN or infinity, which msgspec would encode as null, or a lone surrogate.
    """
    encoded = msgspec.json.encode(value, order=order)
    if encoded.find(b"null") >= 0 and value is not None:  # `in` takes seven times as long for bytes
        _check_finite(msgspec.to_builtins(value))
    return encoded


def _check_finite(value: Any) -> None:
    found = [value]
    while found:
        item = found.pop()
        if isinstance(item, float) and not math.isfinite(item):
            raise ValueError(f"NaN and infinity are not JSON, found {item!r}")
        if isinstance(item, dict):
            found += item.values()
        elif isinstance(item, list | tuple):
            found += item


def _imported_under_type_checking(function: Callable[..., Any], name: str) -> Any:
    """Import what the function's module imports under TYPE_CHECKING, where linters move imports for annotations.

    Raises:
        AttributeError, ImportError, LookupError, OSError, TypeError: there is no such import, or it fails, for example
            because the other module is being imported.
    """
    module = inspect.getmodule(function)
    package = getattr(module, "__package__", None)
    paths: dict[str, list[str]] = {}
    for block in ast.parse(inspect.getsource(module)).body:  # type: ignore[arg-type]  # None is a TypeError
        if not isinstance(block, ast.If) or ast.unparse(block.test) not in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}:
            continue
        for statement in block.body:
            if isinstance(statement, ast.ImportFrom):
                source = resolve_name(f"{'.' * statement.level}{statement.module or ''}", package)
                paths |= {alias.asname or alias.name: [f"{source}.{alias.name}"] for alias in statement.names}
            elif isinstance(statement, ast.Import):
                for alias in statement.names:
                    top = alias.name.partition(".")[0]
                    paths[alias.asname or top] = [alias.name, alias.name if alias.asname else top]
    return [pkgutil.resolve_name(path) for path in paths[name]][-1]


class _Binding(NamedTuple):
    """Parameters to which the arguments of a call are bound.

    Attributes:
        given: Of the arguments as they are given: positional arguments, then keyword arguments.
        positional: Those that are passed by position.
        keyword: All others.
    """

    given: Sequence[str]
    positional: Sequence[str]
    keyword: Sequence[str]


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
        self._is_variadic = any(parameter.kind in _VARIADIC for parameter in self._called.parameters.values())
        self._binding = lru_cache(_SHAPES)(self._bind_shape)
        self._hints = {name: self._checked(parameter) for name, parameter in self._called.parameters.items()}
        returns = inspect.Parameter("return_value", inspect.Parameter.KEYWORD_ONLY, annotation=whole.return_annotation)
        self._result = msgspec.json.Decoder(self._checked(returns))

    def _bind_shape(self, count: int, *keywords: str) -> _Binding:
        """Bind so many positional arguments and these keywords, without their values: `bind` takes 3 µs."""
        bound = self._called.bind(*range(count), **dict.fromkeys(keywords))
        names, by_position = list(bound.arguments), len(bound.args)
        return _Binding([*names[:count], *keywords], names[:by_position], names[by_position:])

    def encode(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[str, str]:
        """Encode arguments as a JSON array and a JSON object.

        Raises:
            TypeError: they do not fit the parameters, or are not JSON.
        """
        if self._positional is not None and not kwargs:  # the usual call, at a sixth of the cost
            try:
                encoded = encode(list(args))
                self._positional.decode(encoded)
                return encoded.decode(), "{}"
            except (TypeError, ValueError):
                pass  # the errors below name the parameter
        if self._is_variadic:
            return self._encode(args, kwargs, self._called.bind(*args, **kwargs).arguments, self._arguments)
        binding = self._binding(len(args), *kwargs)
        arguments = dict(zip(binding.given, (*args, *kwargs.values()), strict=True))
        return self._encode(args, kwargs, arguments, self._arguments)

    def _encode(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], bound: Mapping[str, Any], kind: type[msgspec.Struct]
    ) -> tuple[str, str]:
        try:
            msgspec.json.decode(encode(bound), type=kind)
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
        given_args, given_kwargs = msgspec.json.decode(args), msgspec.json.decode(kwargs)
        if self._positional is not None and not given_kwargs:  # the usual call, at a quarter of the cost
            try:
                return msgspec.structs.astuple(self._positional.decode(args))[: len(given_args)], {}
            except msgspec.ValidationError:
                pass  # the errors below name the parameter
        if self._is_variadic:
            bound = self._called.bind(*given_args, **given_kwargs)
            typed = self._typed(bound.arguments)
            bound.arguments = {name: getattr(typed, name) for name in bound.arguments}
            return bound.args, bound.kwargs
        given, positional, keyword = self._binding(len(given_args), *given_kwargs)
        typed = self._typed(dict(zip(given, (*given_args, *given_kwargs.values()), strict=True)))
        return tuple([getattr(typed, name) for name in positional]), {name: getattr(typed, name) for name in keyword}

    def _typed(self, arguments: Mapping[str, Any]) -> Any:
        try:
            return msgspec.convert(arguments, self._arguments, str_keys=True)
        except msgspec.ValidationError as error:
            raise TypeError(f"{self._name}: {error}") from error

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
        return self.store_result(result)[0].decode()

    def store_result(self, result: Any) -> tuple[bytes, Any]:
        """Encode the result as JSON; also returns what `decode_result` will return for it.

        Raises:
            TypeError: the result is not JSON, or not of the annotated type.
        """
        try:
            encoded = encode(result)
            return encoded, self._result.decode(encoded)
        except (msgspec.ValidationError, ValueError) as error:
            raise TypeError(f"{self._name}: result: {error}") from error

    def decode_result(self, encoded: str | bytes) -> Any:
        """Decode a result to the annotated type.

        Raises:
            TypeError: it is not of the annotated type, which may have changed since.
        """
        try:
            return self._result.decode(encoded)
        except msgspec.ValidationError as error:
            raise TypeError(f"{self._name}: result: {error}") from error

    @property
    def _name(self) -> str:
        return f"{getattr(self._function, '__qualname__', self._function)}()"

    def _checked(self, parameter: inspect.Parameter) -> Any:
        """Resolve an annotation, and check that msgspec can decode it."""
        if parameter.annotation is _EMPTY:
            return Any
        annotated = SimpleNamespace(__annotations__={parameter.name: parameter.annotation})
        function = inspect.unwrap(self._function)
        imported: dict[str, Any] = {}
        while True:
            try:
                names = getattr(function, "__globals__", {}) | imported
                hint = get_type_hints(annotated, names, include_extras=True)[parameter.name]
                break
            except NameError as error:
                try:
                    imported[str(error.name)] = _imported_under_type_checking(function, str(error.name))
                except (AttributeError, ImportError, LookupError, OSError, TypeError) as reason:
                    message = f"{error}. Import it before the task is defined"
                    raise TypeError(f"{self._name}: annotation of {parameter.name}: {message}.") from reason
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
    def _positional(self) -> msgspec.json.Decoder[msgspec.Struct] | None:
        """Decoder of positional arguments; None if calls without keyword arguments may be invalid."""
        keyword_only = inspect.Parameter.KEYWORD_ONLY
        parameters = self._called.parameters.values()
        if self._is_variadic or any(p.kind is keyword_only and p.default is _EMPTY for p in parameters):
            return None
        return msgspec.json.Decoder(self._structure(all_optional=False, array_like=True))

    @cached_property
    def _some_arguments(self) -> type[msgspec.Struct]:
        return self._structure(all_optional=True)

    def _structure(self, *, all_optional: bool, array_like: bool = False) -> type[msgspec.Struct]:
        fields = []
        for name, parameter in self._called.parameters.items():
            if array_like and parameter.kind is inspect.Parameter.KEYWORD_ONLY:
                continue
            kind = self._hints[name]
            kind = _VARIADIC[parameter.kind](kind) if parameter.kind in _VARIADIC else kind
            optional = all_optional or parameter.default is not _EMPTY or parameter.kind in _VARIADIC
            fields.append((name, kind, None) if optional else (name, kind))
        return msgspec.defstruct(
            "Arguments", fields, kw_only=not array_like, array_like=array_like, rename=None, forbid_unknown_fields=True
        )
