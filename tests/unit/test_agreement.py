"""Agreement of the template, the functions' folders and the events."""

import shutil
from pathlib import Path

import pytest

from decant_cloud.checks.layout import disagreements, missing_code
from decant_cloud.template.evaluate import TemplateError
from decant_cloud.template.model import Template, load_template, logical_id
from tests.loading import ROOT


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle of one function in which everything agrees."""
    (tmp_path / "functions/users_get").mkdir(parents=True)
    (tmp_path / "functions/users_get/app.py").touch()
    (tmp_path / "events").mkdir()
    (tmp_path / "events/users_get.json").write_text("{}")
    (tmp_path / "template.yaml").write_text(
        "Resources:\n"
        "  UsersGet:\n"
        "    Type: AWS::Serverless::Function\n"
        "    Properties:\n"
        "      CodeUri: functions/users_get/\n"
    )
    return tmp_path


def test_bundle_of_this_repository_agrees() -> None:
    """Each function is in the template, has a folder and an event."""
    assert disagreements(ROOT) == []


def test_bundle_that_agrees_has_nothing_to_say(bundle: Path) -> None:
    """The example itself is right."""
    assert disagreements(bundle) == []


def test_folder_without_a_resource_is_named(bundle: Path) -> None:
    """A function that would not be deployed is found."""
    (bundle / "functions/users_list").mkdir()
    (bundle / "functions/users_list/app.py").touch()
    (bundle / "events/users_list.json").write_text("{}")

    assert disagreements(bundle) == ["functions/users_list has no UsersList in template.yaml"]


def test_resource_without_a_folder_is_named(bundle: Path) -> None:
    """A function without code is found."""
    (bundle / "functions/users_get/app.py").unlink()
    (bundle / "events/users_get.json").unlink()

    assert disagreements(bundle) == ["template.yaml's UsersGet has no folder in functions/"]


def test_resource_with_another_folder_is_named(bundle: Path) -> None:
    """A function that runs another one's code is found."""
    template = bundle / "template.yaml"
    template.write_text(template.read_text().replace("functions/users_get/", "functions/users_put/"))

    assert disagreements(bundle) == ["template.yaml's UsersGet must have the CodeUri functions/users_get/"]


def test_missing_stray_and_malformed_events_are_named(bundle: Path) -> None:
    """Every function has one event, every event a function, and each is JSON."""
    (bundle / "events/users_get.json").rename(bundle / "events/users_put.json")
    (bundle / "events/users_put.json").write_text("{")

    assert [line.split(":")[0] for line in disagreements(bundle)] == [
        "events/users_put.json belongs to no function",
        "events/users_put.json is no JSON",
        "functions/users_get has no events/users_get.json",
    ]


def test_logical_id_is_the_folder_in_camel_case() -> None:
    """One rule leads from the folder to the template."""
    assert logical_id("async_response") == "AsyncResponse"


def test_load_template_reads_short_forms(tmp_path: Path) -> None:
    """`!Ref`, `!GetAtt` and `!Sub` become what they are short for."""
    template = tmp_path / "template.yaml"
    template.write_text("Resources: {}\na: !Ref X\nb: !GetAtt X.Arn\nc: !Sub ${X}\nd: !If [C, 1, 2]\n")

    assert load_template(template) == {
        "Resources": {},
        "a": {"Ref": "X"},
        "b": {"Fn::GetAtt": ["X", "Arn"]},
        "c": {"Fn::Sub": "${X}"},
        "d": {"Fn::If": ["C", 1, 2]},
    }


def test_load_template_reads_dates_as_text(tmp_path: Path) -> None:
    """As CloudFormation does, also where they are not quoted."""
    template = tmp_path / "template.yaml"
    template.write_text("AWSTemplateFormatVersion: 2010-09-09\nResources: {}\n")

    assert load_template(template) == {"AWSTemplateFormatVersion": "2010-09-09", "Resources": {}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Resources: [", r"is not valid YAML: .*line 2, column 1"),
        ("", "is not a template: each entry of Resources needs a Type"),
        ("Resources: {Queue: }", "is not a template: each entry of Resources needs a Type"),
        (None, "cannot be read: No such file"),
    ],
)
def test_load_template_reports_invalid_files_in_one_line(tmp_path: Path, text: str | None, expected: str) -> None:
    """The line names the file and the reason."""
    template = tmp_path / "template.yaml"
    if text is not None:
        template.write_text(text)

    with pytest.raises(TemplateError, match=expected) as raised:
        load_template(template)

    assert "\n" not in str(raised.value)
    assert str(template) in str(raised.value)


def test_load_template_reads_a_changed_file_again_and_returns_copies(tmp_path: Path) -> None:
    """Parsing is cached by the file's time and size; a caller may change what it gets."""
    template = tmp_path / "template.yaml"
    template.write_text("Resources: {}\n")
    load_template(template)["Resources"]["Queue"] = {}

    assert load_template(template) == {"Resources": {}}
    template.write_text("Resources: {}\nOutputs: {}\n")
    assert load_template(template) == {"Resources": {}, "Outputs": {}}


def test_missing_folder_or_module_of_a_function_is_named(bundle: Path) -> None:
    """`make up` prints these lines and deploys the other functions."""
    assert list(missing_code(Template(bundle))) == []

    (bundle / "functions/users_get/app.py").rename(bundle / "functions/users_get/other.py")
    assert list(missing_code(Template(bundle))) == [
        "UsersGet's Handler names app.py, which functions/users_get/ does not contain"
    ]

    shutil.rmtree(bundle / "functions/users_get")
    assert list(missing_code(Template(bundle))) == ["UsersGet's CodeUri functions/users_get/ is not a folder"]
