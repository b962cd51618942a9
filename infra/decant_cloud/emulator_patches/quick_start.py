"""Omit work that the engine does at its start, and again at the first use of each service.

Changes: garbage collector, botocore (`loaders.py`), werkzeug (`routing/rules.py`), the imports of `aws/api/ec2` and
`openapi_core`.
Gain: 2 s of processor time of the start. These patches precede the import of the engine.
"""

import functools
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from botocore.hooks import EVENT_ALIASES, EventAliaser
from botocore.loaders import JSONFileLoader, Loader
from werkzeug.routing import Rule

from decant_cloud.emulator_patches.engine import engine

__all__ = ["quick_imports", "shorten_start"]

OBJECTS_TO_COLLECT_AT = 50_000
"""Threshold of the garbage collector instead of 2,000."""

_UNUSED = (
    f"{engine.package}.aws.api.ec2",
    "openapi_core",
    "openapi_core.contrib.werkzeug",
    "openapi_core.exceptions",
    "openapi_core.validation.request.exceptions",
    "openapi_core.validation.response.exceptions",
    "openapi_spec_validator",
    "openapi_spec_validator.validation",
    "openapi_spec_validator.validation.exceptions",
)


@contextmanager
def quick_imports() -> Iterator[None]:
    """Import the engine in this block without what it does not use, and without collecting garbage: 1.3 s.

    EC2's API has 20,000 lines, of which the engine names two types; the first use of EC2 imports them. `openapi_core`
    validates requests only with a setting of the engine. `openapi_spec_validator` validates what moto imports;
    the engine imports them itself. Imported modules stay, and the collector scans them no more.
    """
    gc.disable()
    sys.modules |= {name: _stand_in(name) for name in _UNUSED}
    try:
        yield
    finally:
        for name in _UNUSED:
            del sys.modules[name]
        gc.freeze()
        gc.enable()


def _stand_in(name: str) -> ModuleType:
    module = ModuleType(name)
    module.__getattr__ = lambda _name: Any  # type: ignore[method-assign]
    return module


def shorten_start() -> None:
    """Apply the other patches of this module."""
    gc.set_threshold(OBJECTS_TO_COLLECT_AT, 20, 20)
    _read_descriptions_once()
    _share_names_of_events()
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


def _share_names_of_events() -> None:
    """Share the cache of botocore's names of events between sessions, of which the engine makes many: 0.1 s."""
    initialise, names = EventAliaser.__init__, dict[str, str]()

    def init(aliaser: EventAliaser, *arguments: Any, **options: Any) -> None:
        initialise(aliaser, *arguments, **options)
        if aliaser._event_aliases == EVENT_ALIASES:  # noqa: SLF001
            aliaser._alias_name_cache = names  # noqa: SLF001

    EventAliaser.__init__ = init


def _compile_routes_for_matching() -> None:
    """Compile the function that builds the URL of a route, of which there are a thousand, at its first use: 0.2 s."""
    compile_builder = Rule._compile_builder  # noqa: SLF001  # werkzeug has no public hook

    def compile_late(rule: Rule, append_unknown: bool = True) -> Any:  # noqa: FBT001, FBT002  # werkzeug's signature
        return lambda _rule, **values: compile_builder(rule, append_unknown)(rule, **values)

    Rule._compile_builder = compile_late  # type: ignore[assignment,method-assign]  # noqa: SLF001
