"""Ids that stay the same from one start to the next: an API's is its stack's name and its own in the template."""

from typing import Any

from localstack.utils.id_generator import localstack_id_manager

__all__ = ["keep_api_ids"]


def keep_api_ids() -> None:
    """Make LocalStack choose them for REST APIs that CloudFormation creates; a tag `_custom_id_` goes before."""
    localstack_id_manager.add_id_source(_api_id)


def _api_id(context: dict[str, Any]) -> str | None:
    identifier = context["resource_identifier"]
    if (identifier.service, identifier.resource) != ("apigateway", "rest_api"):
        return None  # other services have tags of other shapes
    tags = context.get("tags") or {}
    stack = tags.get("aws:cloudformation:stack-name")
    return None if stack is None else f"{stack}-{tags['aws:cloudformation:logical-id']}".lower()
