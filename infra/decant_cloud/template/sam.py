"""The template as CloudFormation gets it: after SAM has made plain resources of its own."""

import copy
import json
import logging
import os
from collections.abc import Mapping
from typing import Any

from samtranslator.translator.transform import transform

from decant_cloud.template.evaluate import PSEUDO_PARAMETERS, parameter_values

__all__ = ["transformed"]

logging.getLogger("samtranslator").setLevel(logging.ERROR)  # it logs its own feature switches


def transformed(template: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The template with SAM's resources made plain; conditions and references stay.

    Args:
        template: As `load_template` reads it.
        given: Values of parameters, by name: SAM's output depends on some of them.
    Raises:
        samtranslator.model.exceptions.InvalidDocumentException: SAM refuses the template.
        TemplateError: a parameter has no value.
    """
    packaged = copy.deepcopy(dict(template))
    for name, resource in packaged["Resources"].items():
        for code in ("CodeUri", "ContentUri"):
            if isinstance(resource.get("Properties", {}).get(code), str):
                resource["Properties"][code] = f"s3://bucket/{name}"  # where `sam package` would have put it
    os.environ.setdefault("AWS_DEFAULT_REGION", PSEUDO_PARAMETERS["AWS::Region"])  # SAM asks botocore for one
    translated = transform(packaged, dict(parameter_values(template, given)), _NoManagedPolicies())
    plain: dict[str, Any] = json.loads(json.dumps(translated))  # SAM's own kinds of dict and str become Python's
    return plain


class _NoManagedPolicies:
    """Stands for IAM, which SAM asks for managed policies by name; the template names none."""

    def load(self) -> dict[str, str]:
        return {}
