"""Functions and queues as people name them, and as the template does."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from decant_cloud.checks.layout import logical_id
from decant_cloud.local.errors import LocalCloudError

__all__ = ["event_of", "files_of", "function_named", "functions_of", "queue_named"]


def function_named(template: Mapping[str, Any], name: str) -> str:
    """The logical id of a function, given that or its folder's name.

    Raises:
        LocalCloudError: there is none; the message names those that there are.
    """
    functions = functions_of(template)
    found = functions.keys() & {name, logical_id(name)}
    if not found:
        folders = ", ".join(sorted(_folder(each) for each in functions.values()))
        raise LocalCloudError(f"There is no function {name}; there are {folders}.")
    return found.pop()


def functions_of(template: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The functions' resources, by logical id."""
    return _of_type(template, "AWS::Serverless::Function")


def event_of(template: Mapping[str, Any], function: str, events: Path) -> Path:
    """The file of a function's event, of its logical id, in the folder of the events."""
    return events / f"{_folder(template['Resources'][function])}.json"


def files_of(template: Mapping[str, Any], root: Path) -> dict[str, Path]:
    """Each function's source, by logical id."""
    return {name: root / each["Properties"]["CodeUri"] / "app.py" for name, each in functions_of(template).items()}


def queue_named(template: Mapping[str, Any], name: str) -> str:
    """The logical id of a queue, given that or what stands before `Queue` in it: `default`.

    Raises:
        LocalCloudError: there is none; the message names those that there are.
    """
    queues = _of_type(template, "AWS::SQS::Queue")
    found = queues.keys() & {name, logical_id(name), f"{logical_id(name)}Queue"}
    if not found:
        raise LocalCloudError(f"There is no queue {name}; there are {', '.join(sorted(queues))}.")
    return found.pop()


def _of_type(template: Mapping[str, Any], kind: str) -> dict[str, Mapping[str, Any]]:
    return {name: each for name, each in template["Resources"].items() if each["Type"] == kind}


def _folder(function: Mapping[str, Any]) -> str:
    return Path(function["Properties"]["CodeUri"]).name
