"""Omit work that the engine does at its start, and again at the first use of each service.

Changes: garbage collector, botocore (`loaders.py`), werkzeug (`routing/rules.py`), import of `aws/api/ec2`.
Gain: 1.2 s of processor time of the start. These patches precede the import of the engine.
"""

import functools
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from botocore.loaders import JSONFileLoader, Loader
from werkzeug.routing import Rule

from decant_cloud.emulator_patches.engine import engine

__all__ = ["shorten_start", "without_ec2"]

OBJECTS_TO_COLLECT_AT = 50_000
"""Threshold of the garbage collector instead of 2,000: imported modules stay, and scanning them again took 0.4 s."""

_EC2 = f"{engine.package}.aws.api.ec2"


@contextmanager
def without_ec2() -> Iterator[None]:
    """Import the engine in this block without the 20,000 lines of EC2's API, of which it names two types: 0.3 s.

    The first use of EC2 imports them.
    """
    stand_in = ModuleType(_EC2)
    stand_in.__getattr__ = lambda _name: Any  # type: ignore[method-assign]
    sys.modules[_EC2] = stand_in
    try:
        yield
    finally:
        del sys.modules[_EC2]


def shorten_start() -> None:
    """Apply the other patches of this module."""
    gc.set_threshold(OBJECTS_TO_COLLECT_AT, 20, 20)
    _read_descriptions_once()
    _compile_routes_for_matching()


def _read_descriptions_once() -> None:
    """Read each file of botocore once instead of once for each service and client: 0.3 s.

    The engine copies a description before it changes it.
    """
    load_file, list_services = JSONFileLoader.load_file, Loader.list_available_services

    @functools.cache
    def load(path: str) -> Any:
        return load_file(JSONFileLoader(), path)

    lists: dict[tuple[str, ...], Any] = {}

    def services(loader: Loader, type_name: str) -> Any:
        key = (*loader.search_paths, type_name)
        if key not in lists:
            lists[key] = list_services(loader, type_name)
        return lists[key]

    JSONFileLoader.load_file = lambda _loader, path: load(path)
    Loader.list_available_services = services


def _compile_routes_for_matching() -> None:
    """Compile the function that builds the URL of a route, of which there are a thousand, at its first use: 0.2 s."""
    compile_builder = Rule._compile_builder  # noqa: SLF001  # werkzeug has no public hook

    def compile_late(rule: Rule, append_unknown: bool = True) -> Any:  # noqa: FBT001, FBT002  # werkzeug's signature
        return lambda _rule, **values: compile_builder(rule, append_unknown)(rule, **values)

    Rule._compile_builder = compile_late  # type: ignore[assignment,method-assign]  # noqa: SLF001
