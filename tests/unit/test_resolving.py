"""Working out a template for one set of parameters."""

from pathlib import Path
from typing import Any

import pytest

from decant_cloud.template.evaluate import TemplateError, resolve
from decant_cloud.template.model import load_template

PARAMETERS = """
Parameters:
  Stage: {Type: String, Default: local}
  Count: {Type: Number, Default: 2}
  Zones: {Type: CommaDelimitedList, Default: "a, b"}
Conditions:
  Local: !Equals [!Ref Stage, local]
  Two: !Equals [!Ref Count, 2]
  LocalPair: !And [!Condition Local, !Condition Two]
  Elsewhere: !Not [!Or [!Condition Local, !Equals [!Ref Stage, dev]]]
Mappings:
  Sizes:
    local: {memory: 256}
"""


@pytest.fixture
def worked_out(tmp_path: Path) -> Any:
    """What one value in a template comes to, with the parameters above."""

    def work_out(value: str, **given: Any) -> Any:
        path = tmp_path / "template.yaml"
        path.write_text(f"{PARAMETERS}\nResources:\n  Thing:\n    Type: T\n    Properties:\n      Value: {value}\n")
        return resolve(load_template(path), given)["Resources"]["Thing"]["Properties"].get("Value")

    return work_out


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        pytest.param("!Ref Stage", "local", id="parameter"),
        pytest.param("!Ref Count", "2", id="numbers are text"),
        pytest.param("!Ref Zones", ["a", "b"], id="list parameter"),
        pytest.param("!Ref AWS::Region", "eu-west-1", id="pseudo parameter"),
        pytest.param("!Ref Other", {"Ref": "Other"}, id="a resource is left to be made"),
        pytest.param("!GetAtt Other.Arn", {"Fn::GetAtt": ["Other", "Arn"]}, id="so is its attribute"),
        pytest.param("!Ref AWS::NoValue", None, id="no value"),
        pytest.param("!If [LocalPair, 1, 2]", 1, id="condition of conditions"),
        pytest.param("!If [Elsewhere, 1, 2]", 2, id="negated condition"),
        pytest.param("[1, !Ref AWS::NoValue]", [1], id="no value in a list"),
        pytest.param("!Sub 'x-${Stage}-${!kept}'", "x-local-${kept}", id="text with a parameter"),
        pytest.param("!Sub 'x-${Other.Arn}'", {"Fn::Sub": "x-${Other.Arn}"}, id="text with a resource"),
        pytest.param("!Sub ['${A}', {A: !Ref Stage}]", "local", id="text with a variable of its own"),
        pytest.param("!Join ['-', [a, !Ref Stage]]", "a-local", id="joined"),
        pytest.param("!Select [1, !Ref Zones]", "b", id="selected"),
        pytest.param("!Split ['.', '17.7']", ["17", "7"], id="split"),
        pytest.param("!FindInMap [Sizes, !Ref Stage, memory]", 256, id="looked up"),
        pytest.param("!Cidr ['10.0.0.0/16', 2, 8]", ["10.0.0.0/24", "10.0.1.0/24"], id="address ranges"),
        pytest.param("!Select [0, !GetAZs '']", "eu-west-1a", id="zones"),
    ],
)
def test_resolve_works_out_each_function(worked_out: Any, written: str, expected: Any) -> None:
    """Each function of the language comes to what CloudFormation makes of it."""
    assert worked_out(written) == expected


def test_resolve_takes_given_parameters_over_defaults(worked_out: Any) -> None:
    """A default only fills in."""
    assert worked_out("!Ref Stage", Stage="prod") == "prod"


def test_resolve_joins_what_is_not_yet_known_later(worked_out: Any) -> None:
    """Text that holds a resource's name stays a function."""
    assert worked_out("!Join ['-', [a, !Ref Other]]") == {"Fn::Join": ["-", ["a", {"Ref": "Other"}]]}


def test_resolve_drops_what_its_condition_excludes() -> None:
    """A resource or output whose condition does not hold is not there; the condition itself is gone from the rest."""
    template = {
        "Parameters": {"On": {"Type": "String", "Default": "true"}},
        "Conditions": {"Yes": {"Fn::Equals": [{"Ref": "On"}, "true"]}, "No": {"Fn::Not": [{"Condition": "Yes"}]}},
        "Resources": {"Kept": {"Type": "T", "Condition": "Yes"}, "Gone": {"Type": "T", "Condition": "No"}},
        "Outputs": {"Gone": {"Condition": "No", "Value": 1}},
    }

    assert resolve(template, {}) == {"Resources": {"Kept": {"Type": "T"}}, "Outputs": {}}


@pytest.mark.parametrize(
    ("written", "given", "message"),
    [
        pytest.param("1", {"Stgae": "prod"}, "no parameter Stgae", id="unknown parameter"),
        pytest.param("!If [Typo, 1, 2]", {}, "no condition Typo", id="unknown condition"),
        pytest.param("!FindInMap [Sizes, prod, memory]", {}, "no memory for prod", id="unknown row"),
    ],
)
def test_resolve_names_what_is_wrong(worked_out: Any, written: str, given: dict[str, Any], message: str) -> None:
    """A mistake is named before a deployment finds it."""
    with pytest.raises(TemplateError, match=message):
        worked_out(written, **given)


def test_resolve_names_parameters_without_a_value() -> None:
    """A parameter with neither value nor default is missing."""
    with pytest.raises(TemplateError, match="no value for A, B"):
        resolve({"Parameters": {"B": {"Type": "String"}, "A": {"Type": "String"}}}, {})
