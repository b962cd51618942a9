"""Every function as the template describes it: where its code is, its limits, its environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from decant_cloud.template.evaluate import PSEUDO_PARAMETERS, resolve

__all__ = ["Described", "described"]


@dataclass(frozen=True, kw_only=True)
class Described:
    """One function of the template.

    Attributes:
        name: Its folder's name, `users_get`.
        logical_id: Its name in the template, `UsersGet`.
        layers: Their names in the template, in its order.
        variables: Its environment; what is known only once resources are made is left out.
    """

    name: str
    logical_id: str
    handler: str
    timeout_s: float
    memory_mb: int
    layers: tuple[str, ...]
    variables: Mapping[str, str]


def described(
    template: Mapping[str, Any], parameters: Mapping[str, str], resources: Mapping[str, str] | None = None
) -> list[Described]:
    """The functions for one set of parameters, in the template's order.

    Args:
        template: As `load_template` reads it.
        parameters: Of the template, over its defaults.
        resources: What a `Ref` of a resource comes to, as far as it is known.
    """
    merged = {**template, "Resources": _with_globals(template)}
    worked = resolve(merged, parameters, {**PSEUDO_PARAMETERS, **(resources or {})})
    return [
        _described(logical_id, resource["Properties"])
        for logical_id, resource in worked["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    ]


def _with_globals(template: Mapping[str, Any]) -> dict[str, Any]:
    """The resources, with the properties of `Globals` in every function."""
    shared = template.get("Globals", {}).get("Function", {})
    shared_layers = shared.get("Layers", [])
    shared_variables = shared.get("Environment", {}).get("Variables", {})
    resources: dict[str, Any] = dict(template["Resources"])
    for name, resource in resources.items():
        if resource["Type"] == "AWS::Serverless::Function":
            own = resource["Properties"]
            variables = shared_variables | own.get("Environment", {}).get("Variables", {})
            lists = {"Layers": [*shared_layers, *own.get("Layers", [])], "Environment": {"Variables": variables}}
            resources[name] = resource | {"Properties": shared | own | lists}
    return resources


def _described(logical_id: str, properties: Mapping[str, Any]) -> Described:
    variables = properties["Environment"]["Variables"]
    return Described(
        name=Path(properties["CodeUri"]).name,
        logical_id=logical_id,
        handler=properties["Handler"],
        timeout_s=float(properties["Timeout"]),
        memory_mb=int(properties["MemorySize"]),
        layers=tuple(layer["Ref"] for layer in properties["Layers"]),
        variables={name: str(value) for name, value in variables.items() if isinstance(value, str | int)},
    )
