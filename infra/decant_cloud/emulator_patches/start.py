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
from decant_cloud.emulator_patches.quick_start import quick_imports, shorten_start

__all__ = ["problems", "start"]

PATCHES = (
    "api_ids",
    "async_events",
    "binary_media_types",
    "custom_resource",
    "direct_invocations",
    "event_sources",
    "invocations",
    "log_streams",
    "metrics",
    "plugin",
    "resource_updates",
    "resource_waits",
    "response_streams",
    "server",
    "stack_updates",
    "template_visits",
    "timers",
    "update_threads",
)


def start() -> None:
    """Run the engine until it is stopped."""
    shorten_start()
    with quick_imports():
        found = problems()
    if found:
        sys.exit("\n".join(found))
    apply()
    find("runtime.main", "main")()


def problems() -> list[str]:
    """Reasons why the engine cannot start with the patches; the last line contains the remedy."""
    found = []
    if (installed := version(engine.distribution)) != engine.version:
        found.append(f"{engine.title} is installed in version {installed}; the patches are for {engine.version}.")
    modules = {
        name: importlib.import_module(f"decant_cloud.emulator_patches.{name}") for name in (*PATCHES, *engine.patches)
    }
    found += [f"{engine.title} {installed} has no {name}." for name in missing]
    if found:
        return [*found, f"Run `{engine.install}`, or change `decant_cloud/emulator_patches` for that version."]
    executor, base = modules["plugin"].ProcessExecutor, modules["plugin"].RuntimeExecutor
    for method in sorted(base.__abstractmethods__):
        parameters, own = (inspect.signature(getattr(each, method)).parameters for each in (base, executor))
        if not parameters.keys() <= own.keys():
            found.append(f"`ProcessExecutor.{method}` needs the parameters {', '.join(parameters)}.")
    plugins = ("plugin.ProcessExecutorPlugin", "server.LoopbackServerPlugin", "custom_resource.CustomResourcePlugin")
    for module, _dot, name in (each.partition(".") for each in plugins):
        plugin = getattr(modules[module], name)
        if not PluginManager(plugin.namespace).exists(plugin.name):
            found.append(f"PYTHONPATH needs a folder with decant_cloud's registration: `{plugin.name}` is not found.")
    return found
