"""The model of a bundle's `template.yaml`: its functions, routes and queues.

A folder's name is the function's: `users_create` is the logical id `UsersCreate` and the event `users_create.json`.
"""

import functools
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import yaml

from decant_cloud.template.evaluate import PSEUDO_PARAMETERS, TemplateError, resolve

__all__ = ["Function", "Route", "Template", "load_template", "logical_id"]


@dataclass(frozen=True, kw_only=True)
class Route:
    """A method and a path of the API, and the logical id of the function that serves them.

    Attributes:
        streams: Whether the API sends the response while the function makes it.
    """

    method: str
    path: str
    function: str
    streams: bool = False


@dataclass(frozen=True, kw_only=True)
class Function:
    """One function of the template.

    Attributes:
        logical_id: Its name in the template, `UsersGet`.
        folder: Folder of its code, below the bundle's.
        properties: Its properties: as written, without those of `Globals`, or as evaluated.
        routes: Routes of the API that call it.
    """

    logical_id: str
    folder: Path
    properties: Mapping[str, Any]
    routes: tuple[Route, ...]

    @property
    def name(self) -> str:
        """Name of its folder, `users_get`."""
        return self.folder.name

    @property
    def handler(self) -> str:
        """Module and name of its handler, of evaluated properties."""
        return str(self.properties["Handler"])

    @property
    def timeout_s(self) -> float:
        """Longest that an invocation may take, seconds, of evaluated properties."""
        return float(self.properties["Timeout"])

    @property
    def memory_mb(self) -> int:
        """Memory, MB, of evaluated properties."""
        return int(self.properties["MemorySize"])

    @property
    def layers(self) -> tuple[str, ...]:
        """Logical ids of its layers, in the template's order."""
        return tuple(layer["Ref"] for layer in self.properties.get("Layers", []))

    @property
    def variables(self) -> dict[str, Any]:
        """Its environment; a value that is known only once resources are made is a dict."""
        return dict(self.properties.get("Environment", {}).get("Variables", {}))

    @property
    def known_variables(self) -> dict[str, str]:
        """Its environment without the values that are known only once resources are made."""
        return {name: str(value) for name, value in self.variables.items() if isinstance(value, str | int)}

    def with_variables(self, variables: Mapping[str, str]) -> Self:
        """The function with more variables, or other values of present ones."""
        environment = {"Variables": {**self.known_variables, **variables}}
        return replace(self, properties={**self.properties, "Environment": environment})


class Template:
    """The template of a bundle, as it is written: `Globals` are not merged, intrinsic functions not evaluated.

    Attributes:
        root: The bundle's folder.
        document: The template, as `load_template` returns it.
    """

    def __init__(self, root: Path, document: Mapping[str, Any] | None = None) -> None:
        self.root = root
        self.document = load_template(root / "template.yaml") if document is None else document

    def resources(self, kind: str) -> dict[str, Mapping[str, Any]]:
        """Properties of the resources of a type, by logical id."""
        found = self.document["Resources"].items()
        return {name: each.get("Properties", {}) for name, each in found if each.get("Type") == kind}

    @property
    def handler(self) -> str:
        """Handler of the functions that name none."""
        return str(self.document.get("Globals", {}).get("Function", {}).get("Handler", "app.handler"))

    def functions(self) -> dict[str, Function]:
        """Every function with code in a folder of the bundle, by logical id, in the template's order."""
        return {
            name: Function(
                logical_id=name,
                folder=self.root / properties["CodeUri"],
                properties=properties,
                routes=tuple(_routes(name, properties)),
            )
            for name, properties in self.resources("AWS::Serverless::Function").items()
            if isinstance(properties.get("CodeUri"), str)
        }

    def evaluated(
        self, parameters: Mapping[str, str], resources: Mapping[str, str] | None = None
    ) -> dict[str, Function]:
        """The functions for one set of parameters, with the properties of `Globals`, by logical id.

        Args:
            parameters: Of the template, over its defaults.
            resources: Values of a `Ref` of a resource, as far as they are known.
        """
        shared = self.document.get("Globals", {}).get("Function", {})
        merged: dict[str, Any] = dict(self.document["Resources"])
        for name, resource in merged.items():
            if resource["Type"] == "AWS::Serverless::Function":
                merged[name] = resource | {"Properties": _with_globals(resource, shared)}
        document = {**self.document, "Resources": merged}
        worked = resolve(document, parameters, {**PSEUDO_PARAMETERS, **(resources or {})})["Resources"]
        functions = self.functions().items()
        return {
            name: replace(each, properties=worked[name]["Properties"]) for name, each in functions if name in worked
        }

    def routes(self) -> list[Route]:
        """Every route of the API, in the template's order."""
        return [route for function in self.functions().values() for route in function.routes]

    def open_paths(self) -> list[str]:
        """Paths that need neither token nor key with any `Auth`: those of the definition that SAM merges."""
        definitions = (each.get("DefinitionBody", {}) for each in self.resources("AWS::Serverless::Api").values())
        return [path for definition in definitions for path in definition.get("paths", {})]

    def queues(self) -> list[str]:
        """Logical ids of the queues."""
        return list(self.resources("AWS::SQS::Queue"))

    def function(self, name: str) -> Function:
        """The function of a logical id or a folder's name.

        Raises:
            TemplateError: there is none; the message lists the functions.
        """
        functions = self.functions()
        found = functions.get(name) or functions.get(logical_id(name))
        if found is None:
            folders = ", ".join(sorted(each.name for each in functions.values()))
            raise TemplateError(f"There is no function {name}; there are {folders}.")
        return found

    def queue(self, name: str) -> str:
        """The logical id of a queue, given that or what stands before `Queue` in it: `default`.

        Raises:
            TemplateError: there is none; the message lists the queues.
        """
        queues = self.queues()
        for found in (name, logical_id(name), f"{logical_id(name)}Queue"):
            if found in queues:
                return found
        raise TemplateError(f"There is no queue {name}; there are {', '.join(sorted(queues))}.")


def _with_globals(resource: Mapping[str, Any], shared: Mapping[str, Any]) -> dict[str, Any]:
    """A function's properties with those of `Globals`: lists and variables are joined, as SAM does."""
    own, ignored = resource.get("Properties", {}), resource.get("IgnoreGlobals", [])
    shared = {} if ignored == "*" else {name: value for name, value in shared.items() if name not in ignored}
    variables = shared.get("Environment", {}).get("Variables", {}) | own.get("Environment", {}).get("Variables", {})
    layers = [*shared.get("Layers", []), *own.get("Layers", [])]
    return {**shared, **own, "Layers": layers, "Environment": {"Variables": variables}}


def logical_id(folder: str) -> str:
    """The function's name in the template: `users_create` → `UsersCreate`."""
    return "".join(part.capitalize() for part in folder.split("_"))


def load_template(path: Path) -> dict[str, Any]:
    """Read a CloudFormation template; `!Sub x` becomes `{"Fn::Sub": "x"}`.

    The file is parsed again when its size or its time of modification has changed. Each call returns a copy.

    Raises:
        TemplateError: the file cannot be read, is not YAML, or contains no resources.
    """
    try:
        status = path.stat()
        template: Any = pickle.loads(_parse(path, status.st_mtime_ns, status.st_size))  # noqa: S301  # our own
    except OSError as error:
        raise TemplateError(f"{path} cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise TemplateError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(template, dict) or not _is_section(template.get("Resources")):
        raise TemplateError(f"{path} is not a template: each entry of Resources needs a Type")
    return template


def _is_section(resources: Any) -> bool:
    return isinstance(resources, dict) and all(isinstance(each, dict) and "Type" in each for each in resources.values())


@functools.lru_cache(maxsize=16)
def _parse(path: Path, _mtime_ns: int, _size: int) -> bytes:
    """Return the template, pickled."""
    return pickle.dumps(yaml.load(path.read_text(), Loader=_Loader))  # noqa: S506  # a SafeLoader


def _routes(function: str, properties: Mapping[str, Any]) -> list[Route]:
    return [
        Route(
            method=event["Properties"]["Method"].upper(),
            path=event["Properties"]["Path"],
            function=function,
            streams=event["Properties"].get("ResponseTransferMode") == "RESPONSE_STREAM",
        )
        for event in properties.get("Events", {}).values()
        if event["Type"] == "Api"
    ]


class _Loader(yaml.CSafeLoader):
    """YAML with CloudFormation's short forms, in which dates are texts: `AWSTemplateFormatVersion: 2010-09-09`."""


def _short_form(loader: yaml.CSafeLoader, tag: str, node: yaml.Node) -> Mapping[str, Any]:
    value: Any
    match node:
        case yaml.ScalarNode():
            value = loader.construct_scalar(node)
        case yaml.SequenceNode():
            value = loader.construct_sequence(node, deep=True)
        case _:
            value = loader.construct_mapping(node, deep=True)  # type: ignore[arg-type]  # the only kind left
    if tag == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {tag if tag in {"Ref", "Condition"} else f"Fn::{tag}": value}


def _text(loader: yaml.CSafeLoader, node: yaml.ScalarNode) -> str:
    return loader.construct_scalar(node)


_Loader.add_multi_constructor("!", _short_form)
_Loader.add_constructor("tag:yaml.org,2002:timestamp", _text)
