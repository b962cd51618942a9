"""What LocalStack does while it starts, and again at each service's first use, done once or not at all.

It is half of the time that `make up` takes, on one core whatever else is idle.
"""

import functools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from botocore.loaders import JSONFileLoader, Loader
from werkzeug.routing import Rule

__all__ = ["OBJECTS_TO_COLLECT_AT", "compile_routes_for_matching_alone", "read_descriptions_once", "without_ec2"]

OBJECTS_TO_COLLECT_AT = 50_000
"""For the garbage collector, in place of 2,000: all that is imported stays, and looking through it again took 0.4 s."""

_EC2 = "localstack.aws.api.ec2"


@contextmanager
def without_ec2() -> Iterator[None]:
    """Import, in this block, what names two types of EC2's API, without the 20,000 lines of it: 0.3 s.

    Whoever uses EC2 imports it later.
    """
    stand_in = ModuleType(_EC2)
    stand_in.__getattr__ = lambda _name: Any  # type: ignore[method-assign]
    sys.modules[_EC2] = stand_in
    try:
        yield
    finally:
        del sys.modules[_EC2]


def read_descriptions_once() -> None:
    """Read each of botocore's files once, not once in each session, of which there is one for each service and client.

    Nobody changes what was read: LocalStack copies it before it does.
    """
    load_file, list_services = JSONFileLoader.load_file, Loader.list_available_services

    @functools.cache
    def load(path: str) -> Any:
        return load_file(JSONFileLoader(), path)

    listed: dict[tuple[str, ...], Any] = {}

    def services(loader: Loader, type_name: str) -> Any:
        key = (*loader.search_paths, type_name)
        if key not in listed:
            listed[key] = list_services(loader, type_name)
        return listed[key]

    JSONFileLoader.load_file = lambda _loader, path: load(path)
    Loader.list_available_services = services


def compile_routes_for_matching_alone() -> None:
    """Leave out, of each of some thousand routes, the function that makes an address of it, until it is asked for."""
    compile_builder = Rule._compile_builder  # noqa: SLF001  # werkzeug has no other way

    def compile_late(rule: Rule, append_unknown: bool = True) -> Any:  # noqa: FBT001, FBT002  # werkzeug's own
        return lambda _rule, **values: compile_builder(rule, append_unknown)(rule, **values)

    Rule._compile_builder = compile_late  # type: ignore[assignment,method-assign]  # noqa: SLF001
