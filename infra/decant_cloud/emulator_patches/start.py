"""Starts the engine with the plug-ins and the patches of this package, after a check that they fit it.

Without the check, an engine that does not find the executor would use Docker with a warning, and an engine of another
version would hang or fail in the middle of a deployment.
"""

import importlib
import inspect
import sys
from importlib.metadata import version

from plux import PluginManager

from decant_cloud.emulator_patches.engine import apply, engine, find, missing
from decant_cloud.emulator_patches.quick_start import shorten_start, without_ec2

__all__ = ["problems", "start"]

PATCHES = (
    "api_ids",
    "async_events",
    "custom_resource",
    "direct_invocations",
    "event_sources",
    "invocations",
    "log_streams",
    "metrics",
    "plugin",
    "resource_updates",
    "resource_waits",
    "server",
    "stack_updates",
    "timers",
    "update_threads",
)


def start() -> None:
    """Run the engine until it is told to end."""
    shorten_start()
    with without_ec2():
        found = problems()
    if found:
        sys.exit("\n".join(found))
    apply()
    find("runtime.main:main")()


def problems() -> list[str]:
    """Reasons why the engine cannot start with the patches; the last line says what to do."""
    found = []
    if (installed := version(engine.distribution)) != engine.version:
        found.append(f"{engine.title} is installed in version {installed}; the patches are for {engine.version}.")
    for name in PATCHES:
        importlib.import_module(f"decant_cloud.emulator_patches.{name}")
    found += [f"{engine.title} {installed} has no {name}." for name in (*missing, *_unknown_parameters())]
    if found:
        return [*found, f"Run `{engine.install}`, or change `decant_cloud/emulator_patches` for that version."]
    return [
        f"{engine.title} does not find the plug-in `{name}`: PYTHONPATH must name a folder with the package "
        "decant_cloud and its registration."
        for name, group in engine.entry_points.items()
        if not PluginManager(group).exists(name)
    ]


def _unknown_parameters() -> list[str]:
    """Methods of the executor that the engine calls with a parameter which they do not have."""
    ours = importlib.import_module("decant_cloud.emulator_patches.plugin").ProcessExecutor
    base = find("services.lambda_.invocation.runtime_executor:RuntimeExecutor")
    return [
        f"RuntimeExecutor.{name} with the parameters of `plugin`, but {inspect.signature(method)}"
        for name in getattr(base, "__abstractmethods__", ())
        if not inspect.signature(method := getattr(base, name)).parameters.keys()
        <= inspect.signature(getattr(ours, name)).parameters.keys()
    ]
