"""The engines that the local cloud can start, and access to the code of the one that runs.

An engine is an emulator of AWS from a wheel. This is the only module that names the package of one: the patches name
the engine's objects by `find` and `replaces`, relative to its package. A name that the engine lacks is collected in
`missing`, so that `start` can report all of them before it changes anything.
"""

import functools
import importlib
import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["ENGINES", "Engine", "apply", "at_start", "engine", "find", "missing", "put", "replaces"]


@dataclass(frozen=True, kw_only=True)
class Engine:
    """An emulator of AWS that runs from its wheel.

    Attributes:
        package: Import name. Entry points, variables, files and the health check are named after it.
        title: Name for people.
        distribution: Name on the package index.
        version: Version whose internals the patches change; another one is refused at start.
        domain: Host name of the gateway in the addresses that the engine gives out, with subdomains.
        planner: Module and method that compares the templates of a change set.
        patches: Patches for this engine alone.
    """

    package: str
    title: str
    distribution: str
    version: str
    domain: str
    planner: tuple[str, str]
    patches: tuple[str, ...] = ()

    @property
    def requirements(self) -> str:
        """Lock file of its environment, in `decant_cloud/local`."""
        return f"{self.package}.txt"

    @property
    def install(self) -> str:
        """Command that installs it."""
        return f"make install ENGINE={self.package}"

    @property
    def health_path(self) -> str:
        """Path that responds with 200 once the engine is ready."""
        return f"/_{self.package}/health"

    @property
    def variables(self) -> str:
        """Prefix of the environment variables that carry the engine's name."""
        return f"{self.package.upper()}_"

    @property
    def cache(self) -> str:
        """Folder of the engine's cache, below its FILESYSTEM_ROOT."""
        return f"var/lib/{self.package}/cache"


ENGINES = {
    each.package: each
    for each in (
        Engine(
            package="localstack",
            title="LocalStack",
            distribution="localstack-core",
            version="2026.3.0",
            domain="localhost.localstack.cloud",
            planner=("services.cloudformation.v2.entities", "ChangeSet.compute_update_model"),
            patches=("managed_policies",),
        ),
        Engine(
            package="localemu",
            title="LocalEmu",
            distribution="localemu",
            version="1.3.2",
            domain="localhost",
            planner=("services.cloudformation.v2.provider", "CloudformationProviderV2._setup_change_set_model"),
            patches=("request_records",),
        ),
    )
}
"""By the value of ENGINE; the first is the default."""

engine = ENGINES[os.environ.get("DECANT_ENGINE", "localstack")]
"""The engine of this process, which the local cloud names when it starts it."""

missing: list[str] = []
"""Names that the patches need and the engine does not have."""

_pending: list[Callable[[], None]] = []


def find(module: str, *names: str) -> Any:
    """Objects of the engine, a list of them unless there is one name.

    In the place of an object that the engine does not have comes `object`, and its name is in `missing`.

    Args:
        module: Name below the engine's package: `services.plugins`.
        names: Attributes in it, also of classes: `Poller.run`.
    """
    found = []
    for name in names:
        try:
            found.append(getattr(*_locate(module, name)))
        except (ImportError, AttributeError) as error:
            missing.append(f"{engine.package}.{module}:{name} ({error})")
            found.append(object)
    return found[0] if len(names) == 1 else found


def put(module: str, name: str, value: Any) -> None:
    """Replace an object of the engine; the arguments are those of `find`."""
    owner, attribute = _locate(module, name)
    is_unbound = isinstance(inspect.getattr_static(owner, attribute), classmethod | staticmethod)
    setattr(owner, attribute, staticmethod(value) if is_unbound else value)


def _locate(module: str, name: str) -> tuple[Any, str]:
    """Module or class, and the attribute in it."""
    *owners, attribute = name.split(".")
    return functools.reduce(getattr, owners, importlib.import_module(f"{engine.package}.{module}")), attribute


def at_start[F: Callable[[], None]](function: F) -> F:
    """Call the decorated function in `apply`."""
    _pending.append(function)
    return function


def replaces[F: Callable[..., Any]](module: str, name: str) -> Callable[[F], F]:
    """In `apply`, replace a function of the engine by the decorated one, whose first argument is the engine's."""
    original = find(module, name)

    def register(function: F) -> F:
        def call(*arguments: Any, **options: Any) -> Any:
            return function(original, *arguments, **options)

        functools.update_wrapper(call, original, updated=())
        _pending.append(functools.partial(put, module, name, call))
        return function

    return register


def apply() -> None:
    """Make every change that the imported patches describe."""
    for change in _pending:
        change()
