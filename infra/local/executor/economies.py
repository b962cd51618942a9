"""What LocalStack spends time on and nobody here needs, left out."""

import functools

from localstack import config
from localstack.services.cloudformation.resource_provider import ResourceProviderExecutor
from localstack.services.lambda_.invocation import version_manager

__all__ = ["leave_out_metrics", "wait_for_resources_briefly"]

RESOURCE_LOOK_EVERY_S = 0.02


def leave_out_metrics() -> None:
    """Count no invocations and errors in CloudWatch: each count is a commit to a database on disk.

    It was half of a warm request's time, and what 16 clients waited for most.
    """
    version_manager.record_cw_metric_invocation = _count_nothing
    version_manager.record_cw_metric_error = _count_nothing


def _count_nothing(*, function_name: str, account_id: str, region_name: str) -> None:
    """Stand in for both of LocalStack's counters."""


def wait_for_resources_briefly() -> None:
    """Look whether a resource stands fifty times a second, in place of once.

    A function takes a tenth of a second, and each of them was waited for a whole one. Looking without any pause, as
    CFN_NO_WAIT_ITERATIONS has it, is over before the function stands where the machine is idle.
    """
    deploy_loop = ResourceProviderExecutor.deploy_loop
    ResourceProviderExecutor.deploy_loop = functools.partialmethod(deploy_loop, sleep_time=RESOURCE_LOOK_EVERY_S)
    # For boto's waiters, LocalStack reads whole seconds from the environment.
    config.BOTO_WAITER_MAX_ATTEMPTS *= round(config.BOTO_WAITER_DELAY / RESOURCE_LOOK_EVERY_S)
    config.BOTO_WAITER_DELAY = RESOURCE_LOOK_EVERY_S
