"""Check every 20 ms instead of every second whether a resource is ready.

A function is ready after a tenth of a second. CFN_NO_WAIT_ITERATIONS of the engine checks without a pause, a limited
number of times, which end before the function is ready on an idle machine.

Changes: `services/cloudformation/resource_provider.py`; `config.py`, whose variables accept whole seconds only.
Gain: 8 s instead of 14 for a deployment, 2 s instead of 12 for an update of all functions, at load 10.
"""

from collections.abc import Callable
from typing import Any

from decant_cloud.emulator_patches.engine import at_start, find, put, replaces

CHECK_EVERY_S = 0.005

delay_s, attempts = find("config", "BOTO_WAITER_DELAY", "BOTO_WAITER_MAX_ATTEMPTS")


@replaces("services.cloudformation.resource_provider", "ResourceProviderExecutor.deploy_loop")
def _deploy_loop(deploy_loop: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    return deploy_loop(*arguments, **options, sleep_time=CHECK_EVERY_S)


@at_start
def _shorten_waiters() -> None:
    """Updates of functions wait by boto's waiters."""
    put("config", "BOTO_WAITER_MAX_ATTEMPTS", attempts * round(delay_s / CHECK_EVERY_S))
    put("config", "BOTO_WAITER_DELAY", CHECK_EVERY_S)
