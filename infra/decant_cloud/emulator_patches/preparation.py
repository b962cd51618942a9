"""Do what only the first start of the engine does: index the APIs of AWS, and compile the modules that it imports.

The installation runs both functions at a time, each in a process. The first start does what they have not done.
"""

import gc
import importlib
import os
import tempfile
from pathlib import Path

from decant_cloud.emulator_patches.engine import engine, find, put

__all__ = ["compile_modules", "index_apis"]


def index_apis(cache: str) -> None:
    """Make the engine's index of 400 descriptions of APIs: 2.5 s of processor time.

    Args:
        cache: The engine's cache, which gets the index as a whole or not at all.
    """
    gc.disable()
    Path(cache).mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as root:
        os.environ |= {"FILESYSTEM_ROOT": root, "OVERRIDE_IN_DOCKER": "0"}
        made = Path(root) / engine.cache
        made.mkdir(parents=True)
        find("aws.spec", "get_service_catalog")()
        for path in made.iterdir():
            path.replace(Path(cache) / path.name)


def compile_modules() -> None:
    """Import the patches and the services, and with them what the engine imports: 5 s of processor time."""
    start = importlib.import_module("decant_cloud.emulator_patches.start")  # which imports the engine's packages
    with start.quick_imports():
        put("aws.spec", "list_services", list)  # `index_apis` makes the index
        for name in (*start.PATCHES, *engine.patches):
            importlib.import_module(f"decant_cloud.emulator_patches.{name}")
        importlib.import_module("decant_cloud.emulator_patches.services").import_services()
