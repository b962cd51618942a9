"""Signed calls of AWS's APIs without boto3, whose import costs 400 ms of every cold start."""

from decant.config import http_url, setting, settings_group, text

__all__ = ["AwsSettings"]


@settings_group
class AwsSettings:
    """Settings of the calls to AWS."""

    region: str = setting("AWS_REGION", text, "Region of queues and secrets; set by Lambda", default="us-east-1")
    endpoint_url: str | None = setting(
        "AWS_ENDPOINT_URL", http_url, "Address of AWS's APIs, when an emulator serves them", default=None
    )
