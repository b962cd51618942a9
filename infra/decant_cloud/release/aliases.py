"""Which version each function's alias leads to, written down before a deployment and put back after a bad one.

decant aliases record prod > before.json
decant aliases restore prod < before.json
"""

import json
import sys
from collections.abc import Mapping
from typing import Any

import boto3
from botocore.exceptions import ClientError

from decant_cloud.bundle import bundle

__all__ = ["ALIAS", "record", "restore"]

ALIAS = "live"


def run(*, command: str, stage: str) -> None:
    """Print the versions of a stage's stack (`record`), or restore those of standard input (`restore`)."""
    cloudformation, functions = boto3.client("cloudformation"), boto3.client("lambda")
    if command == "record":
        json.dump(record(cloudformation, functions, bundle().stack(stage)), sys.stdout, indent=2)
    else:
        for name, version in restore(functions, json.load(sys.stdin)).items():
            print(f"{name}: {ALIAS} leads to version {version} again")


def record(cloudformation: Any, functions: Any, stack: str) -> dict[str, str]:
    """Version behind each function's alias, by the function's name; nothing for a stack that is not there yet.

    Args:
        cloudformation: boto3's client.
        functions: boto3's client of Lambda.
        stack: Name of the deployed stack.
    """
    try:
        pages = list(cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack))
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError":  # CloudFormation's word for a stack that is not there
            return {}
        raise
    resources = [each for page in pages for each in page["StackResourceSummaries"]]
    aliases = [each["PhysicalResourceId"] for each in resources if each["ResourceType"] == "AWS::Lambda::Alias"]
    found = {}
    for arn in aliases:
        name = arn.split(":")[6]
        found[name] = functions.get_alias(FunctionName=name, Name=ALIAS)["FunctionVersion"]
    return found


def restore(functions: Any, before: Mapping[str, str]) -> dict[str, str]:
    """Let each alias lead where it led before, all of the traffic at once.

    Returns:
        The aliases that had to be changed: version by the function's name.
    """
    changed = {}
    for name, version in before.items():
        if functions.get_alias(FunctionName=name, Name=ALIAS)["FunctionVersion"] != version:
            functions.update_alias(
                FunctionName=name, Name=ALIAS, FunctionVersion=version, RoutingConfig={"AdditionalVersionWeights": {}}
            )
            changed[name] = version
    return changed
