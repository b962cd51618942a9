"""Pass bodies through API Gateway unchanged where the API has the binary media type `*/*`.

The engine ignores `*/*`: it passes a response in base64 on as base64, and gives functions a body as text where it can.

Changes: `integrations/aws.py` in `services/apigateway/next_gen/execute_api`.
Gain: binary and compressed bodies arrive as they were sent, and functions receive every body in base64, as at AWS.
Source: API Gateway Developer Guide, "Binary media types for REST APIs".
"""

import base64
from collections.abc import Callable
from typing import Any

from decant_cloud.emulator_patches.engine import replaces

__all__ = ["ALL"]

ALL = "*/*"

_MODULE = "services.apigateway.next_gen.execute_api.integrations.aws"


@replaces(_MODULE, "mime_type_matches_binary_media_types")
def _matches(match: Callable[..., bool], mime_type: str | None, binary_media_types: list[str]) -> bool:
    """Match every response, also when the request has no `Accept`."""
    return ALL in binary_media_types or match(mime_type=mime_type, binary_media_types=binary_media_types)


@replaces(_MODULE, "RestApiAwsProxyIntegration.create_lambda_input_event")
def _event(create: Callable[[Any, Any], dict[str, Any]], integration: Any, context: Any) -> dict[str, Any]:
    """Put the body into the event in base64."""
    event = create(integration, context)
    types = context.deployment.rest_api.rest_api.get("binaryMediaTypes") or []
    if ALL in types and event["body"] and not event["isBase64Encoded"]:
        event["body"] = base64.b64encode(event["body"].encode()).decode()
        event["isBase64Encoded"] = True
    return event
