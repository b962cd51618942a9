"""Starts LocalStack with our plug-ins, once it is sure that they are found, and with what we change in it.

Without the executor, LocalStack would fall back to Docker with a mere warning.
"""

import sys

from localstack.runtime.main import main
from localstack.runtime.server.plugins import RuntimeServerPlugin
from localstack.services.lambda_.invocation.runtime_executor import EXECUTOR_PLUGIN_MANAGER
from plux import PluginManager

from decant_cloud.emulator_patches.async_events import keep_async_events
from decant_cloud.emulator_patches.economies import (
    call_functions_directly,
    leave_out_metrics,
    wait_for_resources_briefly,
)
from decant_cloud.emulator_patches.event_sources import poll_as_lambda_does
from decant_cloud.emulator_patches.identities import keep_api_ids
from decant_cloud.emulator_patches.invocations import complete_invocations
from decant_cloud.emulator_patches.log_streams import leave_logs_to_environments
from decant_cloud.emulator_patches.resources import complete_resource_updates
from decant_cloud.emulator_patches.stack_updates import update_stacks_as_cloudformation_does
from decant_cloud.emulator_patches.timers import share_timers

__all__ = ["start"]


def check_registration() -> None:
    """End here if LocalStack does not find what `registration/` names."""
    found = {
        "Lambda executor `process`": EXECUTOR_PLUGIN_MANAGER.exists("process"),
        "server `loopback`": PluginManager(RuntimeServerPlugin.namespace).exists("loopback"),
    }
    if missing := [name for name, exists in found.items() if not exists]:
        sys.exit(
            f"LocalStack does not find the {' and the '.join(missing)}: "
            "PYTHONPATH must name a folder with the package decant_cloud and its registration"
        )


def start() -> None:
    """Run it until it is told to end."""
    check_registration()
    keep_api_ids()
    leave_out_metrics()
    leave_logs_to_environments()
    call_functions_directly()
    share_timers()
    wait_for_resources_briefly()
    poll_as_lambda_does()
    complete_invocations()
    keep_async_events()
    complete_resource_updates()
    update_stacks_as_cloudformation_does()
    main()
