"""Settings: read once from the environment, all errors reported together.

A group of settings is a class with fields that are made by `setting`. A module declares the settings that it reads as a
group, and so does an application. `load` reads any group, and a handler's start checks all of them.
"""

import os
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, dataclass_transform

from decant.errors import ConfigError

__all__ = ["Environment", "check", "groups", "load", "read", "setting", "settings_group"]


def setting[T](
    variable: str, parse: Callable[[str], T], about: str, *, default: Any = MISSING, formerly: str | None = None
) -> Any:
    """Declare a field of a settings dataclass.

    Args:
        variable: Name of the environment variable; an empty value counts as not set.
        parse: Converts the text to the value, or raises `ValueError` with the reason.
        about: Description in one line, a noun phrase with its unit; printed in the README's table.
        default: Value when the variable is not set; without one the variable is required.
        formerly: Old name of the variable; setting it is an error that gives the new name.
    """
    metadata = {"variable": variable, "parse": parse, "about": about, "formerly": formerly}
    return field(metadata=metadata) if default is MISSING else field(default=default, metadata=metadata)


_groups: list[type] = []


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(setting,))
def settings_group[T](declared: type[T]) -> type[T]:
    """Class decorator: make a frozen dataclass of settings, which `check` reads."""
    group = dataclass(frozen=True, kw_only=True, slots=True)(declared)
    _groups.append(group)
    return group


def groups() -> list[type]:
    """The groups of settings that the imported modules have declared."""
    return list(_groups)


def text(value: str) -> str:
    """Any text."""
    return value


def count(value: str) -> int:
    """A whole number, 1 or more."""
    if not value.isdecimal() or int(value) < 1:
        raise ValueError(f"must be a whole number of at least 1, not {value!r}")
    return int(value)


def names(value: str) -> tuple[str, ...]:
    """Names with commas between."""
    return tuple(filter(None, (name.strip() for name in value.split(","))))


def flag(value: str) -> bool:
    """True or false, also written as 1 or 0."""
    if value not in {"true", "false", "1", "0"}:
        raise ValueError(f"must be true or false, not {value!r}")
    return value in {"true", "1"}


def seconds(value: str) -> float:
    """A number of seconds above 0."""
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise ValueError(f"must be a number of seconds above 0, not {value!r}")
    return number


def share(value: str) -> float:
    """A number from 0 to 1."""
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise ValueError(f"must be a number from 0 to 1, not {value!r}")
    return number


def pairs(value: str) -> Mapping[str, str]:
    """Values by name, `name=value,name=value`, with URL encoding."""
    from urllib.parse import unquote  # noqa: PLC0415  # few functions have such a setting

    values: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in value.split(","))):
        name, separator, given = pair.partition("=")
        if not (name.strip() and separator):
            raise ValueError("must be name=value pairs with commas between")  # a value may be a secret
        values[name.strip()] = unquote(given.strip())
    return values


def http_url(value: str) -> str:
    """An http or https address."""
    if not value.startswith(("http://", "https://")):
        raise ValueError(f"must start with http:// or https://, not {value!r}")
    return value


def log_level(value: str) -> str:
    """A level name of `logging`."""
    if value.upper() not in {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}:
        raise ValueError(f"must be DEBUG, INFO, WARNING, ERROR or CRITICAL, not {value!r}")
    return value.upper()


def named_urls(value: str) -> Mapping[str, str]:
    """Addresses by name, `default=https://…,mail=https://…`."""
    urls: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in value.split(","))):
        name, separator, url = pair.partition("=")
        if not (name and separator and url.startswith(("http://", "https://"))):
            raise ValueError(f"must be name=url pairs with commas between, not {pair!r}")
        urls[name] = url
    return urls


def read[T](group: type[T], environment: Mapping[str, str]) -> T:
    """Read a group of settings.

    Raises:
        ConfigError: every missing, bad or renamed variable of the group, together.
    """
    values: dict[str, Any] = {}
    problems: list[str] = []
    for field_ in fields(group):  # type: ignore[arg-type]  # T is a dataclass, which typing cannot express
        variable, formerly = field_.metadata["variable"], field_.metadata["formerly"]
        given = environment.get(variable, "").strip()
        if formerly and environment.get(formerly, "").strip():
            problems.append(f"{formerly}: is called {variable} now; set that instead")
        elif given:
            try:
                values[field_.name] = field_.metadata["parse"](given)
            except ValueError as error:
                problems.append(f"{variable}: {error}")
        elif field_.default is MISSING:
            problems.append(f"{variable}: is not set; {field_.metadata['about']}")
    if problems:
        raise ConfigError(problems)
    return group(**values)


class Environment:
    """Environment variables, and the groups of settings that were read from them.

    Args:
        variables: The variables; they are read when a group is loaded for the first time.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self._groups: dict[type, Any] = {}

    def load[T](self, group: type[T]) -> T:
        """Read a group of settings, once.

        Raises:
            ConfigError: every missing, bad or renamed variable of the group, together.
        """
        found = self._groups.get(group)
        if found is None:
            found = self._groups[group] = read(group, self._variables)
        settings: T = found
        return settings

    def check(self) -> None:
        """Read every group that the imported modules have declared.

        Raises:
            ConfigError: every missing, bad or renamed variable of all groups, together.
        """
        problems: list[str] = []
        for group in _groups:
            try:
                self.load(group)
            except ConfigError as error:
                problems += error.problems
        if problems:
            raise ConfigError(problems)

    def reload(self) -> None:
        """Read every group again at its next use."""
        self._groups.clear()


process_environment = Environment(os.environ)

current_environment: ContextVar[Environment] = ContextVar("decant_environment", default=process_environment)
"""The environment of the current runtime; `decant.runtime` sets it."""


def load[T](group: type[T]) -> T:
    """Read a group of settings from the current runtime's environment, once.

    Raises:
        ConfigError: every missing, bad or renamed variable of the group, together.
    """
    return current_environment.get().load(group)


def check() -> None:
    """Read every group of settings from the current runtime's environment; a handler does so when it starts.

    Raises:
        ConfigError: every missing, bad or renamed variable of all groups, together.
    """
    current_environment.get().check()
