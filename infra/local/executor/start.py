"""Starts LocalStack with our plug-ins, once it is sure that they are found, and with what we change in it.

Without the executor, LocalStack would fall back to Docker with a mere warning.
"""

import sys

from localstack.runtime.main import main
from localstack.runtime.server.plugins import RuntimeServerPlugin
from localstack.services.lambda_.invocation.runtime_executor import EXECUTOR_PLUGIN_MANAGER
from plux import PluginManager

from infra.local.executor.async_events import keep_async_events
from infra.local.executor.economies import call_functions_directly, leave_out_metrics, wait_for_resources_briefly
from infra.local.executor.event_sources import poll_as_lambda_does
from infra.local.executor.identities import keep_api_ids
from infra.local.executor.invocations import complete_invocations
from infra.local.executor.log_streams import leave_logs_to_environments
from infra.local.executor.resources import complete_resource_updates
from infra.local.executor.stack_updates import update_stacks_as_cloudformation_does
from infra.local.executor.timers import share_timers

__all__ = ["start"]


def check_registration() -> None:
    """End here if LocalStack does not find what `registration/` names."""
    found = {
        "Lambda executor `process`": EXECUTOR_PLUGIN_MANAGER.exists("process"),
        "server `loopback`": PluginManager(RuntimeServerPlugin.namespace).exists("loopback"),
    }
    if missing := [name for name, exists in found.items() if not exists]:
        sys.exit(
            f"LocalStack does not find the {' and the '.join(missing)}: is infra/local/registration on PYTHONPATH?"
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
