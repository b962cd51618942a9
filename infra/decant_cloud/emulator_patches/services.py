"""Import the services that a deployment uses while the engine waits for requests.

The engine imports a service at its first use, which is in the middle of a deployment. It waits for requests while
`make up` prepares the template, and while the function `Migrate` starts.
"""

import importlib

from decant_cloud.emulator_patches.engine import engine

__all__ = ["import_services"]

_SERVICES = ("cloudformation.v2", "logs", "iam", "lambda_", "s3", "sqs", "events", "apigateway.next_gen", "sts")
"""Their packages, in the order of their use."""


def import_services() -> None:
    """Import their providers."""
    for name in _SERVICES:
        importlib.import_module(f"{engine.package}.services.{name}.provider")
