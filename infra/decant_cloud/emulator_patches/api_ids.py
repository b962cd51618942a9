"""Give a REST API of a stack the same id at every start: the name of the stack and the logical id, `decant-api`.

Uses: `utils/id_generator.py`, an extension point. Other sources, such as a tag `_custom_id_`, go first.
Gain: URLs of the API stay valid over a restart.
"""

from typing import Any

from decant_cloud.emulator_patches.engine import at_start, engine, find

ids = find("utils.id_generator", f"{engine.package}_id_manager")


@at_start
def _register() -> None:
    ids.add_id_source(_api_id)


def _api_id(context: dict[str, Any]) -> str | None:
    identifier = context["resource_identifier"]
    if (identifier.service, identifier.resource) != ("apigateway", "rest_api"):
        return None  # other services have tags of other shapes
    tags = context.get("tags") or {}
    stack = tags.get("aws:cloudformation:stack-name")
    return None if stack is None else f"{stack}-{tags['aws:cloudformation:logical-id']}".lower()
