"""Describe the packages of a layer as a CycloneDX document, the same for the same packages.

Source: CycloneDX specification 1.6 (JSON); PEP 639 (License-Expression); package-url specification, type pypi.
"""

import re
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

__all__ = ["licence", "packages", "sbom"]


def sbom(layer: str, folder: Path) -> dict[str, Any]:
    """The document of a layer.

    Args:
        layer: Its name in the template.
        folder: Folder with the installed packages.
    """
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "application", "bom-ref": layer, "name": layer}},
        "components": [_component(each) for each in packages(folder)],
    }


def packages(folder: Path) -> Iterator[Distribution]:
    """The packages that are installed in a folder, by name."""
    yield from sorted(distributions(path=[str(folder)]), key=lambda each: each.name.lower())


def licence(package: Distribution) -> str:
    """The licence that a package declares: an SPDX expression, or the text of its older fields."""
    declared = package.metadata
    classifiers = [
        each for each in declared.get_all("Classifier") or [] if each.startswith("License :: OSI Approved :: ")
    ]
    named = " AND ".join(each.rpartition(" :: ")[2] for each in classifiers)
    first_line = (declared.get("License") or "").strip().partition("\n")[0]
    return declared.get("License-Expression") or named or first_line or "not declared"


def _component(package: Distribution) -> dict[str, Any]:
    name = re.sub(r"[-_.]+", "-", package.name).lower()
    url = f"pkg:pypi/{name}@{package.version}"
    return {
        "type": "library",
        "bom-ref": url,
        "name": name,
        "version": package.version,
        "purl": url,
        "licenses": [{"license": {"name": licence(package)}}],
    }
