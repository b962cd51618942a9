"""Record no metrics of invocations in CloudWatch.

Each metric is a thread, which the engine never removes, and a commit to a database on disk.

Changes: `services/lambda_/invocation/version_manager.py`.
Gain: 2.5 ms of processor time for each request, half of it; 16 clients waited for this most.
"""

from collections.abc import Callable
from typing import Any

from decant_cloud.emulator_patches.engine import replaces


@replaces("services.lambda_.invocation.version_manager", "start_thread")
def _start_other_threads(
    start_thread: Callable[..., Any], method: Any, *arguments: Any, name: str = "", **options: Any
) -> Any:
    if name.startswith("record-cloudwatch-metric"):
        return None
    return start_thread(method, *arguments, name=name, **options)
