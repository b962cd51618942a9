"""Check every 5 ms instead of every second whether a new resource is ready, and every 20 ms whether an update is.

A function is ready after a few milliseconds, on a busy machine after a tenth of a second. CFN_NO_WAIT_ITERATIONS of the
engine checks without a pause, a limited number of times, which end before the function is ready on an idle machine.

Changes: `services/cloudformation/resource_provider.py`; `config.py`, whose variables accept whole seconds only.
Gain: 8 s instead of 14 for a deployment, 2 s instead of 12 for an update of all functions, at load 10. With 20 ms, the
checks of 30 new functions slept for 0.6 s.
"""

from collections.abc import Callable
from typing import Any

from decant_cloud.emulator_patches.engine import at_start, find, put, replaces

CHECK_EVERY_S = 0.005
CHECK_UPDATES_EVERY_S = 0.02

delay_s, attempts = find("config", "BOTO_WAITER_DELAY", "BOTO_WAITER_MAX_ATTEMPTS")


@replaces("services.cloudformation.resource_provider", "ResourceProviderExecutor.deploy_loop")
def _deploy_loop(deploy_loop: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    return deploy_loop(*arguments, **options, sleep_time=CHECK_EVERY_S)


@at_start
def _shorten_waiters() -> None:
    """Updates of functions wait by boto's waiters."""
    put("config", "BOTO_WAITER_MAX_ATTEMPTS", attempts * round(delay_s / CHECK_UPDATES_EVERY_S))
    put("config", "BOTO_WAITER_DELAY", CHECK_UPDATES_EVERY_S)
