"""Evaluate a template for one set of parameters, as CloudFormation does before it creates resources.

Conditions are decided, `Fn::If` and references to parameters are replaced by what they come to; what only exists once
resources do (`Ref` and `Fn::GetAtt` of a resource) stays as it is.

Source: AWS CloudFormation User Guide, intrinsic function reference.
"""

import ipaddress
import itertools
import re
from collections.abc import Callable, Mapping
from typing import Any

from decant_cloud.errors import CommandError

__all__ = ["PSEUDO_PARAMETERS", "TemplateError", "parameter_values", "resolve"]

PSEUDO_PARAMETERS: Mapping[str, str] = {
    "AWS::AccountId": "123456789012",
    "AWS::NotificationARNs": "",
    "AWS::Partition": "aws",
    "AWS::Region": "eu-west-1",
    "AWS::StackId": "arn:aws:cloudformation:eu-west-1:123456789012:stack/app/1",
    "AWS::StackName": "app",
    "AWS::URLSuffix": "amazonaws.com",
}
"""Values of a deployment that never happens; any account and region would do."""

_ABSENT = object()
"""The value of `!Ref AWS::NoValue`: the property that has it is removed."""

_VARIABLE = re.compile(r"\$\{(?!!)([^}]+)\}")


class TemplateError(CommandError):
    """The template cannot be evaluated with these parameters; the message gives the reason."""


def parameter_values(template: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The value of every parameter: the given one, else its default.

    Raises:
        TemplateError: one has neither, or the template has no parameter of a given name.
    """
    declared: Mapping[str, Any] = template.get("Parameters", {})
    if unknown := sorted(given.keys() - declared.keys()):
        raise TemplateError(f"the template has no parameter {', '.join(unknown)}")
    if missing := sorted(name for name, each in declared.items() if name not in given and "Default" not in each):
        raise TemplateError(f"no value for {', '.join(missing)}")
    return {name: _typed(each["Type"], given.get(name, each.get("Default"))) for name, each in declared.items()}


def resolve(
    template: Mapping[str, Any], given: Mapping[str, Any], pseudo: Mapping[str, str] = PSEUDO_PARAMETERS
) -> dict[str, Any]:
    """Resources and outputs for one set of parameters; those whose condition does not hold are gone.

    Args:
        template: As `load_template` reads it.
        given: Values of parameters, by name; the others take their defaults.
        pseudo: Values of `AWS::Region` and its like.
    Raises:
        TemplateError: a parameter has no value, or something is referred to that is not there.
    """
    worked = _Resolver(template, {**pseudo, **parameter_values(template, given)})
    return {section: worked.section(template.get(section, {})) for section in ("Resources", "Outputs")}


def _typed(kind: str, value: Any) -> Any:
    if isinstance(value, dict | list):  # of a nested stack: known only once its parent's resources are made
        return value
    if kind == "CommaDelimitedList" or kind.startswith("List<"):
        return [part.strip() for part in str(value).split(",")] if value != "" else []
    return _text(value)


def _text(value: Any) -> str:
    """CloudFormation compares and passes on everything as text."""
    return str(value).lower() if isinstance(value, bool) else str(value)


class _Resolver:
    """One template with one set of values; `value` is the whole of it, the rest are the functions by name."""

    def __init__(self, template: Mapping[str, Any], values: Mapping[str, Any]) -> None:
        self._conditions: Mapping[str, Any] = template.get("Conditions", {})
        self._mappings: Mapping[str, Any] = template.get("Mappings", {})
        self._values = values
        self._functions: Mapping[str, Callable[[Any], Any]] = {
            "Condition": self.holds,
            "Fn::And": lambda parts: all(self.value(part) for part in parts),
            "Fn::Cidr": lambda parts: _cidr(*self.value(parts)),
            "Fn::Equals": lambda pair: self._equal(*self.value(pair)),
            "Fn::FindInMap": lambda path: self._find(*self.value(path)),
            "Fn::GetAZs": lambda _region: [f"{self._values['AWS::Region']}{zone}" for zone in "abc"],
            "Fn::If": lambda parts: self.value(parts[1] if self.holds(parts[0]) else parts[2]),
            "Fn::Join": lambda parts: self._join(self.value(parts)),
            "Fn::Not": lambda parts: not self.value(parts[0]),
            "Fn::Or": lambda parts: any(self.value(part) for part in parts),
            "Fn::Select": lambda parts: self._select(*self.value(parts)),
            "Fn::Split": lambda parts: self._split(*self.value(parts)),
            "Fn::Sub": self._substitute,
            "Ref": self._refer,
        }

    def holds(self, condition: str | None) -> bool:
        if condition is None:
            return True
        if condition not in self._conditions:
            raise TemplateError(f"there is no condition {condition}")
        return bool(self.value(self._conditions[condition]))

    def section(self, given: Mapping[str, Any]) -> dict[str, Any]:
        kept = {name: dict(each) for name, each in given.items()}
        kept = {name: each for name, each in kept.items() if self.holds(each.pop("Condition", None))}
        return {name: self.value(each) for name, each in kept.items()}

    def value(self, given: Any) -> Any:
        match given:
            case dict() if len(given) == 1 and (name := next(iter(given))) in self._functions:
                # A resource's `Condition: Name` stands beside other keys; alone, it is a reference to a condition.
                return self._functions[name](given[name])
            case dict():
                worked = {key: self.value(each) for key, each in given.items()}
                return {key: each for key, each in worked.items() if each is not _ABSENT}
            case list():
                return [each for each in map(self.value, given) if each is not _ABSENT]
            case _:
                return given

    def _refer(self, name: str) -> Any:
        return _ABSENT if name == "AWS::NoValue" else self._values.get(name, {"Ref": name})

    def _substitute(self, given: Any) -> Any:
        text, own = (given, {}) if isinstance(given, str) else (given[0], self.value(given[1]))
        left: dict[str, Any] = {}

        def replace(found: re.Match[str]) -> str:
            value = own.get(found[1], self._values.get(found[1]))
            if isinstance(value, str | int | float):
                return _text(value)
            if value is not None:
                left[found[1]] = value
            return found[0]

        worked = _VARIABLE.sub(replace, text)
        if left:
            return {"Fn::Sub": [worked, left]}
        return {"Fn::Sub": worked} if _VARIABLE.search(worked) else worked.replace("${!", "${")

    @staticmethod
    def _equal(left: Any, right: Any) -> bool:
        return _text(left) == _text(right)

    def _find(self, table: str, row: str, column: str) -> Any:
        try:
            return self.value(self._mappings[table][row][column])
        except KeyError as error:
            raise TemplateError(f"there is no {column} for {row} in {table}") from error

    @staticmethod
    def _join(parts: list[Any]) -> Any:
        separator, pieces = parts
        if isinstance(pieces, list) and all(isinstance(piece, str) for piece in pieces):
            return separator.join(pieces)
        return {"Fn::Join": [separator, pieces]}

    @staticmethod
    def _select(index: Any, pieces: Any) -> Any:
        return pieces[int(index)] if isinstance(pieces, list) else {"Fn::Select": [index, pieces]}

    @staticmethod
    def _split(separator: str, text: Any) -> Any:
        return text.split(separator) if isinstance(text, str) else {"Fn::Split": [separator, text]}


def _cidr(block: str, count: Any, bits: Any) -> list[str]:
    subnets = ipaddress.ip_network(block).subnets(new_prefix=32 - int(bits))
    return [str(subnet) for subnet in itertools.islice(subnets, int(count))]
