"""Brings the database's schema up to this version: as a custom resource of the template, or invoked with `{}`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from decant import custom_resource, loop, observability
from decant.db import migrations

observability.configure()

HERE = Path(__file__).parent


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Apply every migration that is missing, all of them or none.

    Returns:
        The schema's revision before and after: `{"from": "0001", "to": "0002"}`, null for an empty database. Asked by
        CloudFormation, which does not wait for it: what CloudFormation was told.
    """
    if custom_resource.asks(event):
        return loop.run(custom_resource.answer(event, deploy))
    return loop.run(migrations.migrate(HERE))


async def deploy(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Migrate to the schema that the template asks for."""
    return await migrations.migrate(HERE, properties["Schema"])
