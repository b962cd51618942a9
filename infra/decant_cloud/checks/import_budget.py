"""What each function imports when it starts, held to `infra/import_budget.toml`: `decant check`.

A budget is broken by a module, never by a time: times are printed, beside a bare `import flask` of the same layer.
"""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Container, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from decant_cloud.local.layer import build_local
from decant_cloud.paths import root
from decant_cloud.template.model import Function, Template

__all__ = ["Budget", "Import", "excess", "imported", "lacking", "load_budget"]

IMAGE = root() / ".decant/lambda-image"
LAYERS = root() / ".decant/layers"
BUDGETS = root() / "infra/import_budget.toml"
PARAMETERS = {
    "Stage": "dev",
    "Auth": "jwt",
    "AuthTokens": "Tokens",
    "DatabaseUrl": "postgresql+asyncpg://host/database",
}
"""Parameters with which the template has every function."""

OWN_PACKAGES = frozenset({"decant", "domain"})
_LINE = re.compile(r"import time: +\d+ \| +\d+ \| (?P<indent> *)(?P<module>\S+)")


@dataclass(frozen=True, kw_only=True)
class Import:
    """What importing one module came to, in a process of its own.

    Attributes:
        chains: Every module that is loaded then, with those on whose behalf it was imported, outermost first.
        cpu_s: CPU time of the whole process, which traces its imports, seconds.
    """

    chains: Mapping[str, Sequence[str]]
    cpu_s: float

    @property
    def packages(self) -> frozenset[str]:
        """Packages and single modules from outside the standard library."""
        tops = {name.partition(".")[0] for name in self.chains}
        return frozenset(top for top in tops if top not in sys.stdlib_module_names and not top.startswith("_"))


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What one function may import.

    Attributes:
        packages: From outside the standard library, beside our own.
        never: Modules of the standard library that it may not import.
        is_unlimited: Whether it may import everything.
    """

    packages: frozenset[str]
    never: frozenset[str]
    is_unlimited: bool = False


def run() -> int:
    """Print the table; the exit status is 1 when a function imports what it may not."""
    layers, image = build_local(LAYERS), str(next(IMAGE.glob("lib/python*/site-packages")))
    bare = [str(layers["SharedLayer"] / "python"), image]
    functions = list(Template(root()).evaluated(PARAMETERS).values())
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        nothing = pool.submit(imported, "sys", root(), {}, bare)
        flask = pool.submit(imported, "flask", root(), {}, bare)
        paths = [
            [*(str(layers[each] / "python") for each in reversed(function.layers)), image] for function in functions
        ]
        starts = list(pool.map(_start, functions, paths))
    _print_table(nothing.result(), flask.result(), dict(zip((each.name for each in functions), starts, strict=True)))
    broken = [
        f"functions/{function.name} imports {fault}"
        for function, start in zip(functions, starts, strict=True)
        for fault in [
            *excess(start, load_budget(function.name), _own_modules(function.name)),
            *lacking(start, function.layers),
        ]
    ]
    for each in broken:
        print(f"error: {each}", file=sys.stderr)
    if broken:
        print(f"{BUDGETS.relative_to(root())} lists what each function may import", file=sys.stderr)
    return 1 if broken else 0


def load_budget(function: str, path: Path = BUDGETS) -> Budget:
    """The budget of one function, by its folder's name."""
    table = tomllib.loads(path.read_text())
    groups = table["functions"].get(function, table["functions"]["default"])
    if groups == "any":
        return Budget(packages=frozenset(), never=frozenset(), is_unlimited=True)
    packages = frozenset(package for group in groups for package in table["groups"][group])
    return Budget(packages=packages, never=frozenset(table["never"]["modules"]))


def excess(start: Import, budget: Budget, own_modules: frozenset[str] = frozenset()) -> Iterator[str]:
    """What a start imported over its budget, a line each, with the way it came in.

    Args:
        start: The import of the function's module.
        budget: What it may import.
        own_modules: Names of the modules in the function's own folder.
    """
    if budget.is_unlimited:
        return
    unwanted = start.packages - budget.packages - OWN_PACKAGES - own_modules
    unwanted |= start.chains.keys() & budget.never
    for name in sorted(unwanted):
        chain = start.chains.get(name, ())
        if unwanted.isdisjoint(chain):  # else it came with something that is named itself
            yield " → ".join([*chain, name])


def lacking(start: Import, layers: Container[str], path: Path = BUDGETS) -> Iterator[str]:
    """What a start imported that needs a layer which the function has not, a line each."""
    for module, layer in tomllib.loads(path.read_text())["needs"].items():
        if module in start.chains and layer not in layers:
            yield f"{module}, which needs {layer}: add it to the function's Layers in template.yaml"


def imported(module: str, folder: Path, variables: Mapping[str, str], search_path: Sequence[str]) -> Import:
    """Import a module as Lambda would: with nothing on the path but its folder, the layer and the image.

    Raises:
        subprocess.CalledProcessError: it cannot be imported; its traceback is on standard error.
    """
    # Without a spec, it is nothing that was imported: Cython's modules, for one, leave such things behind.
    loaded = "*(name for name, module in sys.modules.items() if getattr(module, '__spec__', None))"
    code = f"import sys, time, {module}; print(time.process_time(), {loaded})"
    done = subprocess.run(
        [str(IMAGE / "bin/python"), "-X", "importtime", "-c", code],
        cwd=folder,
        env={**variables, "PYTHONPATH": ":".join(search_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    cpu_s, *names = done.stdout.split()
    chains = dict(_chains(done.stderr))
    return Import(chains={name: chains.get(name, ()) for name in names}, cpu_s=float(cpu_s))


def _chains(trace: str) -> Iterator[tuple[str, Sequence[str]]]:
    """Every imported module, with its importers; Python prints a module after the modules that it imported."""
    importers: list[tuple[int, str]] = []
    for line in reversed(_LINE.findall(trace)):
        indent, module = len(line[0]), line[1]
        while importers and importers[-1][0] >= indent:
            importers.pop()
        yield module, [name for _indent, name in importers]
        importers.append((indent, module))


def _start(function: Function, search_path: Sequence[str]) -> Import:
    folder = root() / "functions" / function.name
    return imported(function.handler.rpartition(".")[0], folder, function.known_variables, search_path)


def _own_modules(function: str) -> frozenset[str]:
    """Modules and packages in the function's folder, with the libraries that it carries."""
    return frozenset(path.stem for path in root().glob(f"functions/{function}/*"))


def _print_table(nothing: Import, flask: Import, starts: Mapping[str, Import]) -> None:
    print(f"{'':<16}{'modules':>8}{'ms':>6}{'x flask':>9}   packages beyond Flask's")
    for name, start in {"import flask": flask, **starts}.items():
        modules = len(start.chains) - len(nothing.chains)
        cpu_s = start.cpu_s - nothing.cpu_s
        ratio = cpu_s / (flask.cpu_s - nothing.cpu_s)
        beyond = sorted(start.packages - flask.packages - OWN_PACKAGES - _own_modules(name))
        print(f"{name:<16}{modules:>8}{cpu_s * 1000:>6.0f}{ratio:>9.2f}   {' '.join(beyond)}")
