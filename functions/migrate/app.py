"""Migrate the database's schema: as a custom resource of the template, or invoked with `{}`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from decant import custom_resource, runtime
from decant.db import migrations

VERSIONS = Path(__file__).parent / "versions"


async def migrate(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Apply every migration that is missing, all of them or none.

    Returns:
        The schema's revisions before and after, `from` and `to`, as `migrations.migrate` returns them. For a request of
        CloudFormation, which does not read the result: the response that was sent to it.
    """
    if custom_resource.is_request(event):
        return await custom_resource.respond(event, deploy)
    return await migrations.migrate(VERSIONS)


async def deploy(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Migrate to the schema that the template asks for."""
    return await migrations.migrate(VERSIONS, properties["Schema"])


handler = runtime.current().lambda_function(migrate)
