"""The template's properties of each function."""

from typing import Any

from decant_cloud.template.model import Template
from tests.loading import ROOT

TEMPLATE: dict[str, Any] = {
    "Parameters": {"Address": {"Type": "String"}},
    "Globals": {
        "Function": {
            "Handler": "app.handler",
            "MemorySize": 512,
            "Timeout": 25,
            "Layers": [{"Ref": "SharedLayer"}],
            "Environment": {"Variables": {"STAGE": "local", "SERVICE": "decant"}},
        }
    },
    "Resources": {
        "UsersGet": {
            "Type": "AWS::Serverless::Function",
            "Properties": {
                "CodeUri": "functions/users_get/",
                "Timeout": 120,
                "Layers": [{"Ref": "AuthLayer"}],
                "Environment": {
                    "Variables": {
                        "SERVICE": "users",
                        "DATABASE_URL": {"Ref": "Address"},
                        "QUEUES": {"Fn::Sub": "default=${Queue}"},
                    }
                },
            },
        },
        "Queue": {"Type": "AWS::SQS::Queue", "Properties": {}},
    },
}


def test_evaluated_function_takes_what_globals_say_unless_the_function_says_otherwise() -> None:
    """A function's own properties and variables stand over those of all functions."""
    (function,) = Template(ROOT, TEMPLATE).evaluated({"Address": "postgres"}).values()

    assert (function.name, function.logical_id) == ("users_get", "UsersGet")
    assert (function.timeout_s, function.memory_mb) == (120, 512)
    assert function.known_variables == {"STAGE": "local", "SERVICE": "users", "DATABASE_URL": "postgres"}


def test_evaluated_function_adds_a_function_s_layers_to_those_of_all() -> None:
    """As SAM does: a list of its own stands behind that of `Globals`."""
    (function,) = Template(ROOT, TEMPLATE).evaluated({"Address": "postgres"}).values()

    assert function.layers == ("SharedLayer", "AuthLayer")


def test_evaluated_function_fills_in_resources_that_are_known() -> None:
    """A variable that holds a resource's name is there once the name is given."""
    (function,) = Template(ROOT, TEMPLATE).evaluated({"Address": "postgres"}, {"Queue": "https://queue"}).values()

    assert function.known_variables["QUEUES"] == "default=https://queue"


def test_evaluated_function_leaves_the_template_as_it_is() -> None:
    """Reading it twice reads the same."""
    template = Template(ROOT, TEMPLATE)

    assert template.evaluated({"Address": "a"}) == template.evaluated({"Address": "a"})
    assert "STAGE" not in TEMPLATE["Resources"]["UsersGet"]["Properties"]["Environment"]["Variables"]


def test_evaluated_function_ignores_the_globals_that_it_names() -> None:
    """`IgnoreGlobals` is a list of properties, or `*`."""
    resources = {name: {**each, "IgnoreGlobals": ["Layers"]} for name, each in TEMPLATE["Resources"].items()}

    (function,) = Template(ROOT, {**TEMPLATE, "Resources": resources}).evaluated({"Address": "a"}).values()

    assert function.layers == ("AuthLayer",)
