"""Stacks updated as CloudFormation does it: what changed alone, in place where that can be, and undone when it fails.

LocalStack loses itself in conditions of conditions, replaces what merely refers to something that changed, passes over
what it cannot update, and leaves a failed update half done.

Source: AWS CloudFormation User Guide, update behaviors of stack resources; stack failure options.
"""

from collections.abc import Callable, Mapping
from typing import Any

from localstack.aws.api.cloudformation import ChangeAction, ChangeSetStatus, ChangeSetType, StackStatus
from localstack.services.cloudformation.engine.v2.change_set_model import ChangeSetModel, Scope
from localstack.services.cloudformation.engine.v2.change_set_model_executor import ChangeSetModelExecutor
from localstack.services.cloudformation.engine.v2.change_set_model_preproc import PreprocProperties
from localstack.services.cloudformation.resource_provider import (
    OperationStatus,
    ProgressEvent,
    ResourceProviderExecutor,
    convert_payload,
)
from localstack.services.cloudformation.v2.entities import ChangeSet
from localstack.utils.patch import patch

__all__ = ["update_stacks_as_cloudformation_does"]


def update_stacks_as_cloudformation_does() -> None:
    """Change LocalStack's CloudFormation for every update from now on."""
    patch(ChangeSetModel._visit_condition)(_tell_conditions_apart)
    patch(ChangeSet.compute_update_model)(_plan)
    patch(ChangeSetModelExecutor._execute_resource_change)(_change)
    patch(ChangeSetModelExecutor._execute_resource_action)(_act)
    patch(ResourceProviderExecutor.execute_action)(_provide)
    ChangeSetModelExecutor.process = _process


def _tell_conditions_apart(
    visit: Callable[..., Any], model: ChangeSetModel, scope: Scope, condition_name: str, **given: Any
) -> Any:
    """Keep what is worked out of each condition at a place of its own.

    LocalStack keeps those that another one refers to in one place, and finds one in the other without end.
    """
    own = scope if scope.unwrap()[-1] == condition_name else scope.open_scope(condition_name)
    return visit(model, own, condition_name, **given)


def _plan(compute_update_model: Callable[..., None], change_set: ChangeSet, inputs: Any) -> None:
    """Leave the stack as it is when a change set is refused."""
    stack = change_set.stack
    status, reason, events = stack.status, stack.status_reason, list(stack.events)
    compute_update_model(change_set, inputs)
    if change_set.status == ChangeSetStatus.FAILED and change_set.change_set_type == ChangeSetType.UPDATE:
        stack.status, stack.status_reason, stack.events = status, reason, events


def _change(change: Callable[..., None], executor: Any, name: str, before: Any, after: Any) -> None:
    """Replace a resource only when a property that cannot be updated has another value.

    That it refers to a resource which changed is what LocalStack goes by.
    """
    if getattr(after, "requires_replacement", False) and before:
        provider = executor.resource_provider_executor.try_load_resource_provider(after.resource_type)
        names = [path.removeprefix("/properties/") for path in provider.SCHEMA.get("createOnlyProperties", [])]
        had, has = before.properties.properties, after.properties.properties
        after.requires_replacement = any(had.get(each) != has.get(each) for each in names)
    change(executor, name, before, after)


def _act(act: Callable[..., ProgressEvent[Any]], executor: Any, **given: Any) -> ProgressEvent[Any]:
    """Remember what was done, for it to be undone."""
    event = act(executor, **given)
    executor.__dict__.setdefault("done", []).append((given, event))
    return event


def _provide(
    execute_action: Callable[..., ProgressEvent[Any]], executor: Any, provider: Any, payload: dict[str, Any]
) -> ProgressEvent[Any]:
    """Replace what LocalStack has no update for."""
    if payload["action"] != ChangeAction.Modify.value:
        return execute_action(executor, provider, payload)
    try:
        return provider.update(convert_payload(executor.stack_name, executor.stack_id, payload))
    except NotImplementedError:
        data = payload["requestData"]
        before = {**data, "resourceProperties": data["previousResourceProperties"]}
        execute_action(executor, provider, {**payload, "action": ChangeAction.Remove.value, "requestData": before})
        payload["action"] = ChangeAction.Add.value  # also for the looks that follow, until it stands
        return execute_action(executor, provider, payload)


def _process(executor: Any) -> None:
    """Make the changes; the stack is as it was when one of them fails."""
    change_set = executor._change_set
    try:
        super(ChangeSetModelExecutor, executor).process()
    except Exception:
        is_update = change_set.change_set_type == ChangeSetType.UPDATE
        if is_update and change_set.stack.status != StackStatus.DELETE_IN_PROGRESS:
            _roll_back(executor, change_set)
        raise


def _roll_back(executor: Any, change_set: ChangeSet) -> None:
    executor._deferred_actions.clear()  # the removal of what the new template has no more
    stack = change_set.stack
    stack.set_stack_status(StackStatus.UPDATE_ROLLBACK_IN_PROGRESS)
    resources = dict(stack.resolved_resources)
    done = list(executor.__dict__.get("done", ()))
    # An update back to what there was, in the order of updates; then what is not needed any more goes, last one first.
    for given, event in done:
        if given["action"] == ChangeAction.Modify:
            undone = _act_again(executor, given, ChangeAction.Modify, event, given["before_properties"])
            if undone.status == OperationStatus.SUCCESS:
                resources[given["logical_resource_id"]] = executor.resources[given["logical_resource_id"]]
    for given, event in reversed(done):
        if given["action"] == ChangeAction.Add:
            if event.resource_model:
                _act_again(executor, given, ChangeAction.Remove, event, None)
            if given["logical_resource_id"] not in resources:
                stack.resource_states.pop(given["logical_resource_id"], None)
    executor.resources.clear()
    executor.resources.update(resources)
    # LocalStack takes these for the stack's own from now on.
    for each in ("template", "template_body", "processed_template", "resolved_parameters"):
        setattr(change_set, each, getattr(stack, each))


def _act_again(
    executor: Any, given: Mapping[str, Any], action: ChangeAction, event: ProgressEvent[Any], after: Any
) -> ProgressEvent[Any]:
    before = given["before_properties"]
    now = PreprocProperties(properties={**(before.properties if before else {}), **(event.resource_model or {})})
    again = {**given, "action": action, "before_properties": now, "after_properties": after}
    undone: ProgressEvent[Any] = executor._execute_resource_action(**again)
    return undone
