"""Import the services that a deployment uses while the engine waits for requests.

The engine imports a service at its first use, which is in the middle of a deployment. It waits for requests while
`make up` prepares the template. A request waits for the imports: two threads that import modules which import each
other can get a module of which only a part has been executed.

Changes: `services/plugins.py`.
"""

import importlib
import threading
from collections.abc import Callable
from typing import Any

from decant_cloud.emulator_patches.engine import engine, replaces

__all__ = ["import_services", "importing"]

_SERVICES = ("cloudformation.v2", "logs", "iam", "lambda_", "s3", "sqs", "events", "apigateway.next_gen", "sts")
"""Their packages."""


def import_services() -> None:
    """Import their providers."""
    for name in _SERVICES:
        importlib.import_module(f"{engine.package}.services.{name}.provider")


importing = threading.Thread(target=import_services, name="import-services", daemon=True)
"""Does it once it is started."""


@replaces("services.plugins", "ServiceManager.require")
def _require(require: Callable[[Any, str], Any], manager: Any, service: str) -> Any:
    if importing.is_alive():
        importing.join()
    return require(manager, service)
