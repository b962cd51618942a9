"""API Gateway's authorizer through its handler, with real tokens."""

from pathlib import Path
from typing import Any

import pytest

from decant_cloud.invocation import Context, Token, event, load_function
from decant_cloud.local import tokens


def authorize(authorization: str) -> dict[str, Any]:
    """The function's result for one Authorization header."""
    result: dict[str, Any] = load_function("authorizer").handler(
        event("authorizer") | {"authorizationToken": authorization}, Context()
    )
    return result


def test_authorizer_allows_every_route_of_the_stage_to_a_valid_token(token: Token) -> None:
    """The result is cached by token, so it must hold for the routes that the caller requests next."""
    result = authorize(f"Bearer {token('users:read')}")

    [statement] = result["policyDocument"]["Statement"]
    assert (result["principalId"], statement["Effect"]) == ("local", "Allow")
    assert statement["Resource"] == "arn:aws:execute-api:eu-west-1:123456789012:abcdef1234/dev/*"


@pytest.mark.parametrize(
    "authorization",
    [
        pytest.param("", id="no token"),
        pytest.param("Basic YTpi", id="another scheme"),
        pytest.param("Bearer not.a.token", id="malformed"),
        pytest.param(None, id="expired"),
    ],
)
def test_authorizer_denies_an_invalid_token(token: Token, authorization: str | None) -> None:
    """A policy that denies is cached, and raises no alarm of the function, as an error would."""
    expired = f"Bearer {token('users:read', seconds=-60)}"

    result = authorize(expired if authorization is None else authorization)

    [statement] = result["policyDocument"]["Statement"]
    assert (result["principalId"], statement["Effect"]) == ("anonymous", "Deny")


@pytest.mark.usefixtures("token")
def test_authorizer_denies_a_token_of_another_issuer(tmp_path: Path) -> None:
    """The same claims, signed with another key."""
    result = authorize(f"Bearer {tokens.mint(tmp_path / 'other', 'users:read')}")

    assert result["policyDocument"]["Statement"][0]["Effect"] == "Deny"
