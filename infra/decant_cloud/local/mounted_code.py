"""Change `template.yaml` for the local cloud: the code of functions and layers is mounted, so that edits are live."""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["keep_messages", "mount", "with_code"]

HOT_RELOAD_BUCKET = "hot-reload"
"""The engine mounts the folder that an object's key names, when the object is in this bucket."""

_OF_VERSIONS = (
    "AutoPublishAlias",
    "AutoPublishAliasAllProperties",
    "DeploymentPreference",
    "ProvisionedConcurrencyConfig",
)
"""What publishes versions of a function, which are frozen: of a folder that is edited there are none."""


def mount(folder: Path) -> dict[str, str]:
    """Location, for the engine, of code that it does not copy."""
    return {"Bucket": HOT_RELOAD_BUCKET, "Key": str(folder)}


def with_code(
    template: Mapping[str, Any],
    root: Path,
    layers: Path,
    place: Callable[[Path], Mapping[str, str]] = mount,
    place_template: Callable[[Path], str] = str,
) -> dict[str, Any]:
    """The template with the code of each function and layer where the cloud finds it, and no versions of either.

    Args:
        template: As it stands in `template.yaml`.
        root: What the template's paths start from.
        layers: Folder that holds each built layer by its name in the template, absolute.
        place: Puts a folder where the cloud finds it, and returns its location.
        place_template: Puts a nested stack's template where the cloud finds it, and returns its URL.
    """
    changed: dict[str, Any] = json.loads(json.dumps(template))
    _leave_out(changed.get("Globals", {}).get("Function", {}), _OF_VERSIONS)
    for name, resource in changed["Resources"].items():
        properties = resource.setdefault("Properties", {})
        match resource["Type"]:
            case "AWS::Serverless::Function":
                _leave_out(properties, _OF_VERSIONS)
                if isinstance(ignored := resource.get("IgnoreGlobals"), list):  # SAM rejects names that Globals lacks
                    resource["IgnoreGlobals"] = [each for each in ignored if each not in _OF_VERSIONS]
                properties["CodeUri"] = place((root / properties["CodeUri"]).resolve())
            case "AWS::Serverless::LayerVersion":
                properties["ContentUri"] = place(layers / name)
            case "AWS::CloudFormation::Stack" if "Condition" not in resource:  # the others are for stages at AWS
                properties["TemplateURL"] = place_template(root / properties["TemplateURL"])
    return changed


def keep_messages(template: Mapping[str, Any], function: str, seconds: int) -> None:
    """Let a function, if the template has it, have the messages of its queues for longer before they come again."""
    resources = template["Resources"]
    for event in resources.get(function, {}).get("Properties", {}).get("Events", {}).values():
        source = event["Properties"].get("Queue")
        if isinstance(source, dict) and "Fn::GetAtt" in source:  # a queue of another template is skipped
            resources[source["Fn::GetAtt"][0]]["Properties"]["VisibilityTimeout"] = seconds


def _leave_out(properties: dict[str, Any], names: Iterable[str]) -> None:
    for name in names:
        properties.pop(name, None)
