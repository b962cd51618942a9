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

__all__ = ["ENGINES", "Engine", "apply", "at_start", "engine", "find", "missing", "replaces"]


@dataclass(frozen=True, kw_only=True)
class Engine:
    """An emulator of AWS that runs from its wheel.

    Attributes:
        package: Import name. Entry points, variables, files and the health check are named after it.
        title: Name for people.
        distribution: Name on the package index.
        version: Version whose internals the patches change; another one is refused at start.
        domain: Host name of the gateway in the addresses that the engine gives out, with subdomains.
        planner: Method that compares the templates of a change set.
    """

    package: str
    title: str
    distribution: str
    version: str
    domain: str
    planner: str

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

    @property
    def entry_points(self) -> dict[str, str]:
        """Group of entry points for each plug-in of this package; `registration/` lists them."""
        groups = {
            "process": "lambda.runtime_executor",
            "loopback": "runtime.server",
            "AWS::CloudFormation::CustomResource": "cloudformation.resource_providers",
        }
        return {name: f"{self.package}.{group}" for name, group in groups.items()}


ENGINES = {
    each.package: each
    for each in (
        Engine(
            package="localstack",
            title="LocalStack",
            distribution="localstack-core",
            version="2026.3.0",
            domain="localhost.localstack.cloud",
            planner="services.cloudformation.v2.entities:ChangeSet.compute_update_model",
        ),
        Engine(
            package="localemu",
            title="LocalEmu",
            distribution="localemu",
            version="1.3.2",
            domain="localhost",
            planner="services.cloudformation.v2.provider:CloudformationProviderV2._setup_change_set_model",
        ),
    )
}
"""By the value of ENGINE; the first is the default."""

engine = ENGINES[os.environ.get("DECANT_ENGINE", "localstack")]
"""The engine of this process, which the local cloud names when it starts it."""

missing: list[str] = []
"""Names that the patches need and the engine does not have."""

_pending: list[Callable[[], None]] = []


def find(name: str) -> Any:
    """An object of the engine; when there is none, `object`, and the name is in `missing`.

    Args:
        name: Module, below the engine's package, with or without an attribute: `services.plugins:SERVICE_PLUGINS`.
    """
    try:
        owner, attribute = _locate(name)
        return getattr(owner, attribute) if attribute else owner
    except (ImportError, AttributeError) as error:
        missing.append(f"{engine.package}.{name} ({error})")
        return object


def _locate(name: str) -> tuple[Any, str]:
    """Module or class, and the name of its attribute."""
    module, _colon, path = name.partition(":")
    *owners, attribute = path.split(".")
    return functools.reduce(getattr, owners, importlib.import_module(f"{engine.package}.{module}")), attribute


def at_start[F: Callable[[], None]](function: F) -> F:
    """Call the decorated function in `apply`."""
    _pending.append(function)
    return function


def replaces[F: Callable[..., Any]](name: str) -> Callable[[F], F]:
    """In `apply`, replace a function of the engine by the decorated one, whose first argument is the engine's.

    Args:
        name: Function or method, as for `find`.
    """
    original = find(name)

    def register(function: F) -> F:
        @functools.wraps(original, updated=())
        def call(*arguments: Any, **options: Any) -> Any:
            return function(original, *arguments, **options)

        _pending.append(functools.partial(_put, name, call))
        return function

    return register


def _put(name: str, function: Callable[..., Any]) -> None:
    owner, attribute = _locate(name)
    is_unbound = isinstance(inspect.getattr_static(owner, attribute), classmethod | staticmethod)
    setattr(owner, attribute, staticmethod(function) if is_unbound else function)


def apply() -> None:
    """Make every change that the imported patches describe."""
    for change in _pending:
        change()
