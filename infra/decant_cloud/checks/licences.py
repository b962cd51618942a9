"""Write the licences of the layers' packages to docs/licences.md: `decant docs`."""

from pathlib import Path

from decant_cloud.layer.sbom import licence, packages
from decant_cloud.local.layer import build_local
from decant_cloud.paths import root

__all__ = ["page"]

LAYERS = root() / ".decant/layers"
PAGE = root() / "docs/licences.md"

_HEAD = """# Licences

Licences of the packages that the layers contain, as the packages declare them. Their texts are in the layers, in the
`dist-info` folders. `make docs` writes this page.
"""


def run() -> int:
    """Write the page; returns the exit status."""
    PAGE.write_text(page(LAYERS))
    return 0


def page(layers: Path) -> str:
    """The page, with a table for every layer.

    Args:
        layers: Folder of the local layers, which are built when they are missing.
    """
    parts = [_HEAD]
    for name, folder in build_local(layers).items():
        rows = [f"| {each.name} | {licence(each)} |" for each in packages(folder / "python")]
        parts.append("\n".join((f"## {name}\n", "| package | licence |", "|---|---|", *rows)) + "\n")
    return "\n".join(parts)
