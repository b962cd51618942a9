"""Every template documents its parameters and outputs."""

from pathlib import Path

import pytest

from decant_cloud.template.model import load_template
from tests.loading import ROOT

TEMPLATES = [ROOT / "template.yaml", *sorted((ROOT / "infra").glob("*.yaml"))]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_template_describes_itself_and_each_parameter_and_output(path: Path) -> None:
    """Who deploys one alone, or reads it in the console, finds a sentence."""
    template = load_template(path)

    described = [template, *template.get("Parameters", {}).values(), *template.get("Outputs", {}).values()]

    assert all(each["Description"].strip() for each in described)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_template_groups_parameters_that_there_are(path: Path) -> None:
    """Where they are grouped, the console shows each once."""
    template = load_template(path)
    groups = template.get("Metadata", {}).get("AWS::CloudFormation::Interface", {}).get("ParameterGroups", [])

    grouped = [name for group in groups for name in group["Parameters"]]

    assert sorted(grouped) == (sorted(template["Parameters"]) if groups else [])
