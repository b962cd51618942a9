"""Lambda authorizer of a REST API: allows requests whose bearer token is valid.

API Gateway calls it once per token and caches the policy. The policy therefore covers every route of the stage, not
only the route of the first request. Routes that require a scope call `auth.require`.

An invalid token gets a policy that denies, which API Gateway caches as well, and not an error: errors of the function
raise its alarm, and any client can send invalid tokens.

Source: Amazon API Gateway Developer Guide, input to and output from a Lambda authorizer (type TOKEN).
"""

from collections.abc import Callable, Mapping
from typing import Any

from decant import runtime, tokens
from decant.errors import InvalidToken
from decant.runtime import Context

__all__ = ["lambda_handler"]

_ANONYMOUS = "anonymous"


def lambda_handler() -> Callable[[dict[str, Any], Context], dict[str, Any]]:
    """Create the handler of the function that API Gateway calls for a token that it has not seen.

    The handler raises ServiceUnavailable when the issuer's keys cannot be fetched. API Gateway caches no error.
    """
    return runtime.current().lambda_function(_authorize)


async def _authorize(event: dict[str, Any], _context: Context) -> dict[str, Any]:
    claims = await _claims(tokens.bearer(event.get("authorizationToken", "")))
    api, stage = event["methodArn"].split("/")[:2]
    statement = {
        "Action": "execute-api:Invoke",
        "Effect": "Deny" if claims is None else "Allow",
        "Resource": f"{api}/{stage}/*",
    }
    return {
        "principalId": _ANONYMOUS if claims is None else str(claims["sub"]),
        "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
    }


async def _claims(token: str | None) -> Mapping[str, Any] | None:
    if token is None:
        return None
    try:
        return await tokens.verify(token)
    except InvalidToken:
        return None
