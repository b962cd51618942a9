"""The check of properties that a function needs for what its code uses."""

from pathlib import Path
from typing import Any

import pytest

from decant_cloud.checks.uses import misdefined, missing
from decant_cloud.template.model import Template
from tests.loading import ROOT

PLAIN, DATABASE, TASKS, WORKER = (
    {"Fn::GetAtt": ["Access", f"Outputs.{name}RoleArn"]} for name in ("Plain", "Database", "Tasks", "Worker")
)


RESUMES = "from decant.workflows import WorkflowRun\nWorkflowRun(id).send(topic)"
ROUTE = {"Method": "GET", "Path": "/"}
STREAMED = {"Events": {"Route": {"Type": "Api", "Properties": {**ROUTE, "ResponseTransferMode": "RESPONSE_STREAM"}}}}
WRAPPED = {
    "Environment": {"Variables": {"AWS_LAMBDA_EXEC_WRAPPER": "/opt/stream-responses"}},
    "Events": {"Route": {"Type": "Api", "Properties": ROUTE}},
}


def lines(folder: Path, code: str, properties: dict[str, Any], ignored: tuple[str, ...] = ()) -> list[str]:
    """What is missing of a function with this code."""
    (folder / "functions/one").mkdir(parents=True)
    (folder / "functions/one/app.py").write_text(code)
    resource = {
        "Type": "AWS::Serverless::Function",
        "IgnoreGlobals": list(ignored),
        "Properties": {"CodeUri": "functions/one/", **properties},
    }
    template = Template(folder, {"Resources": {"One": resource}})
    return list(missing(template.function("One"), template))


@pytest.mark.parametrize(
    ("code", "properties", "expected"),
    [
        pytest.param("mail.delay(1)", {"Role": PLAIN}, "`Role: !GetAtt Access.Outputs.TasksRoleArn`", id="delay"),
        pytest.param("mail.delay(1)", {"Role": DATABASE}, "`Role: !GetAtt Access.Outputs.TasksRoleArn`", id="role"),
        pytest.param(RESUMES, {"Role": DATABASE}, "`Role: !GetAtt Access.Outputs.TasksRoleArn`", id="signal"),
        pytest.param("from decant import db", {}, "`Role: !GetAtt Access.Outputs.DatabaseRoleArn`", id="no role"),
        pytest.param("from decant import auth", {"Role": PLAIN}, "`Layers: [!Ref AuthLayer]`", id="auth"),
        pytest.param("import httpx", {"Role": PLAIN}, "`IgnoreGlobals: [VpcConfig]`", id="http"),
        pytest.param("lambda_handler(app, streaming=True)", STREAMED, "AWS_LAMBDA_EXEC_WRAPPER", id="streaming"),
        pytest.param("lambda_handler(app, streaming=True)", WRAPPED, "RESPONSE_STREAM`", id="streaming route"),
        pytest.param("lambda_handler(app)", STREAMED, "`lambda_handler(app, streaming=True)`", id="streaming code"),
        pytest.param("def broken(:", {"Role": PLAIN}, "app.py: invalid syntax, line 1", id="syntax"),
    ],
)
def test_missing_property_is_named_with_the_line_to_add(
    tmp_path: Path, code: str, properties: dict[str, Any], expected: str
) -> None:
    """The line can be copied into the function's block."""
    [line] = lines(tmp_path, code, properties)

    assert expected in line


@pytest.mark.parametrize(
    ("code", "properties", "ignored"),
    [
        pytest.param("mail.delay(1)", {"Role": TASKS}, (), id="delay"),
        pytest.param("from decant import db", {"Role": DATABASE}, (), id="database"),
        pytest.param("from decant.worker import lambda_handler", {"Role": WORKER}, (), id="another role"),
        pytest.param("from decant import auth", {"Role": PLAIN, "Layers": [{"Ref": "AuthLayer"}]}, (), id="auth"),
        pytest.param("from decant import http", {"Role": PLAIN}, ("VpcConfig",), id="http"),
        pytest.param("lambda_handler(app, streaming=True)", WRAPPED | STREAMED, (), id="streaming"),
    ],
)
def test_nothing_is_missing_of_a_complete_block(
    tmp_path: Path, code: str, properties: dict[str, Any], ignored: tuple[str, ...]
) -> None:
    """Roles that allow more are accepted."""
    assert lines(tmp_path, code, properties, ignored) == []


def test_database_needs_the_network(tmp_path: Path) -> None:
    """A function outside of the network does not reach the database."""
    [line] = lines(tmp_path, "from decant import db", {"Role": DATABASE}, ("VpcConfig",))

    assert "remove `IgnoreGlobals: [VpcConfig]`" in line


def test_functions_of_this_repository_have_what_they_use() -> None:
    """The check passes for the demo."""
    template = Template(ROOT)

    assert [line for each in template.functions().values() for line in missing(each, template)] == []


def test_definition_that_api_gateway_would_reject_is_named() -> None:
    """A path without a route, and a method that SAM does not merge."""
    template = Template(ROOT)
    resources = template.document["Resources"]
    resources["Api"]["Properties"]["DefinitionBody"]["paths"]["/old"] = {"get": {}}
    route = template.routes()[0]
    for event in resources[route.function]["Properties"]["Events"].values():
        event["Properties"]["Method"] = "ANY"

    unserved, *unmerged = misdefined(template)

    assert list(misdefined(Template(ROOT))) == []
    assert "DefinitionBody has /old" in unserved
    assert f"is merged with the route ANY {route.path}," in unmerged[0]
