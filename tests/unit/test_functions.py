"""What the template says of each function."""

from typing import Any

from decant_cloud.template.functions import described

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


def test_described_takes_what_globals_say_unless_the_function_says_otherwise() -> None:
    """A function's own properties and variables stand over those of all functions."""
    (function,) = described(TEMPLATE, {"Address": "postgres"})

    assert (function.name, function.logical_id) == ("users_get", "UsersGet")
    assert (function.timeout_s, function.memory_mb) == (120, 512)
    assert function.variables == {"STAGE": "local", "SERVICE": "users", "DATABASE_URL": "postgres"}


def test_described_adds_a_function_s_layers_to_those_of_all() -> None:
    """As SAM does: a list of its own stands behind that of `Globals`."""
    (function,) = described(TEMPLATE, {"Address": "postgres"})

    assert function.layers == ("SharedLayer", "AuthLayer")


def test_described_fills_in_resources_that_are_known() -> None:
    """A variable that holds a resource's name is there once the name is given."""
    (function,) = described(TEMPLATE, {"Address": "postgres"}, {"Queue": "https://queue"})

    assert function.variables["QUEUES"] == "default=https://queue"


def test_described_leaves_the_template_as_it_is() -> None:
    """Reading it twice reads the same."""
    assert described(TEMPLATE, {"Address": "a"}) == described(TEMPLATE, {"Address": "a"})
    assert "STAGE" not in TEMPLATE["Resources"]["UsersGet"]["Properties"]["Environment"]["Variables"]
