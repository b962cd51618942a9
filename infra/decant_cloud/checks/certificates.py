"""Certificates: the layer must contain the authorities of the database's certificate, or no function connects."""

from collections.abc import Iterator
from pathlib import PurePosixPath

from decant_cloud.paths import root
from decant_cloud.template.stage import Stage

__all__ = ["breaches"]

SHARED = root() / "shared"

_LAYER = PurePosixPath("/opt/python")
"""Where Lambda puts the packages of `shared/`."""


def breaches(stage: Stage) -> Iterator[str]:
    """Files of authorities that functions name and the layer has not."""
    named = {each.variables.get("DATABASE_CA_FILE") for each in stage.functions()}
    for path in sorted(PurePosixPath(each) for each in named if each):
        if not (SHARED / path.relative_to(_LAYER)).is_file():
            yield (
                f"shared/{path.relative_to(_LAYER)} is not there, so no function would trust the database; "
                "`make rds-roots` fetches it from AWS"
            )
