"""Certificates: the layer must contain the authorities of the database's certificate, or no function connects."""

from collections.abc import Iterator
from pathlib import PurePosixPath

from decant_cloud.template.stage import Stage

__all__ = ["breaches"]

_LAYER = PurePosixPath("/opt/python")
"""Where Lambda puts the packages of `shared/`."""

_OF_RDS = PurePosixPath("/opt/python/decant/db/rds-roots.pem")
"""The authorities of RDS; the build of the layer copies them to this place."""


def breaches(stage: Stage) -> Iterator[str]:
    """Files of authorities that functions name and that the layer would not contain."""
    named = {each.variables.get("DATABASE_CA_FILE") for each in stage.functions()}
    for path in sorted(PurePosixPath(each) for each in named if each):
        source = "rds-roots.pem" if path == _OF_RDS else path.relative_to(_LAYER)
        if not (stage.folder / "shared" / source).is_file():
            hint = "; `make rds-roots` downloads it from AWS" if path == _OF_RDS else ""
            yield f"shared/{source} does not exist, so no function could verify the database's certificate{hint}"
