"""The layers as `sam build` makes them: by make, in a copy of `shared/`, with the makefile of an architecture."""

import hashlib
import importlib.metadata
import json
import marshal
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.loading import ROOT

pytestmark = pytest.mark.long

SHARED = ROOT / "shared"
BUDGET_MB = 70
EM_AARCH64 = 183  # machine type in the header of an ELF file


def run_recipe(
    source: Path, target: Path, architecture: str = "x86_64", name: str = "SharedLayer"
) -> subprocess.CompletedProcess[str]:
    """Start make as SAM does."""
    makefile = ROOT / "shared" / architecture / "Makefile"
    return subprocess.run(
        ["make", "--makefile", str(makefile), f"build-{name}"],
        cwd=source,
        env={**os.environ, "ARTIFACTS_DIR": str(target), "PYTHONHASHSEED": "random"},
        capture_output=True,
        text=True,
        check=False,
    )


def build(folder: Path, architecture: str = "x86_64", name: str = "SharedLayer") -> Path:
    """The folder with Python's packages, of a layer made from a copy of `shared/`."""
    source = shutil.copytree(SHARED, folder / "source", ignore=shutil.ignore_patterns("__pycache__"))
    finished = run_recipe(source, folder / "layer", architecture, name)
    assert finished.returncode == 0, finished.stderr
    return folder / "layer/python"


def contents(layer: Path) -> dict[str, tuple[str, int, int]]:
    """Hash, mode and date of every file."""
    return {
        str(path.relative_to(layer)): (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            path.stat().st_mode,
            int(path.stat().st_mtime),
        )
        for path in layer.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def layers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The layers for x86_64 by name, built once for this module."""
    names = ("SharedLayer", "AuthLayer", "DocsLayer")
    return {name: build(tmp_path_factory.mktemp("x86_64"), name=name) for name in names}


@pytest.fixture(scope="module")
def layer(layers: dict[str, Path]) -> Path:
    """The shared layer for x86_64."""
    return layers["SharedLayer"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A copy of `shared/` that needs no package."""
    copied = shutil.copytree(SHARED, tmp_path / "source", ignore=shutil.ignore_patterns("__pycache__"))
    (copied / "requirements.txt").write_text("")
    return copied


def sources(layer: Path) -> Iterator[Path]:
    """Every module's source."""
    return (path for path in layer.rglob("*.py"))


def test_every_module_has_its_bytecode(layer: Path) -> None:
    """Lambda cannot write any: what is not compiled now is compiled at each cold start."""
    missing = [
        path for path in sources(layer) if not list(path.parent.glob(f"__pycache__/{path.stem}.cpython-313.pyc"))
    ]

    assert missing == []


def test_bytecode_is_valid_whatever_the_date_of_its_source(layer: Path) -> None:
    """A zip and Lambda change dates; bytecode that looked at them would be thrown away."""
    (bytecode,) = layer.glob("flask/__pycache__/app.*.pyc")

    assert int.from_bytes(bytecode.read_bytes()[4:8], "little") == 0b01  # PEP 552: a hash, and not checked


def test_tracebacks_name_files_as_lambda_has_them(layer: Path) -> None:
    """A path in a log line leads to a file of the layer, not to the machine that built it."""
    (bytecode,) = layer.glob("decant/__pycache__/loop.*.pyc")

    assert marshal.loads(bytecode.read_bytes()[16:]).co_filename == "/opt/python/decant/loop.py"  # noqa: S302  # our own


def test_second_build_makes_the_same_bytes(layer: Path, tmp_path: Path) -> None:
    """An unchanged layer is not uploaded again, and publishes nothing."""
    finished = run_recipe(layer.parents[1] / "source", tmp_path)

    assert finished.returncode == 0, finished.stderr
    assert contents(tmp_path / "python") == contents(layer)


@pytest.mark.parametrize("name", ["SharedLayer", "AuthLayer"])
def test_layer_for_another_architecture_holds_its_modules(tmp_path: Path, name: str) -> None:
    """Built here for arm64, it holds compiled modules of arm64 alone."""
    made = build(tmp_path, "arm64", name)

    machines = {int.from_bytes(path.read_bytes()[18:20], "little") for path in made.rglob("*.so")}
    assert machines == {EM_AARCH64}


@pytest.mark.parametrize(
    ("name", "requirements"),
    [("SharedLayer", "requirements.txt"), ("AuthLayer", "auth.txt"), ("DocsLayer", "docs.txt")],
)
def test_layer_comes_with_a_list_of_its_packages(layers: dict[str, Path], name: str, requirements: str) -> None:
    """The CycloneDX document beside the packages has all of them, with version, package URL and licence."""
    document = json.loads((layers[name].parent / "sbom.cdx.json").read_text())

    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    assert document["metadata"]["component"]["name"] == name
    assert {each["purl"] for each in document["components"]} == {
        f"pkg:pypi/{package}@{version}"
        for package, version in re.findall(r"^([\w.-]+)==([\w.]+)", (SHARED / requirements).read_text(), re.MULTILINE)
    }
    assert all(each["licenses"][0]["license"]["name"] != "not declared" for each in document["components"])


def test_layer_keeps_its_size(layer: Path) -> None:
    """Unzipped; Lambda's own limit is 250 MB for layer and function together."""
    size_mb = sum(path.stat().st_size for path in layer.rglob("*") if path.is_file()) / 1_000_000

    assert size_mb <= BUDGET_MB


def test_layer_leaves_out_what_no_function_reads(layer: Path) -> None:
    """Tests, commands, headers and the sources of compiled modules stay behind."""
    assert not [path for path in layer.rglob("*") if path.name == "tests"]
    assert not [path for path in layer.rglob("*") if path.suffix in {".c", ".cpp", ".h", ".pyx", ".pxd"}]
    assert not (layer / "bin").exists()


def test_layer_can_be_read_by_anybody(layer: Path) -> None:
    """Lambda's user is another than the one who built it."""
    unreadable = [path for path in layer.rglob("*") if path.stat().st_mode & 0o444 != 0o444]

    assert unreadable == []


def test_metadata_still_tells_versions_and_files(layer: Path) -> None:
    """`importlib.metadata` finds each package, its version and just the files that are there."""
    found = list(importlib.metadata.distributions(path=[str(layer)]))

    assert {"flask", "sqlalchemy", "asyncpg"} <= {each.name.lower() for each in found}
    for each in found:
        assert each.version
        record = (each.read_text("RECORD") or "").splitlines()
        assert record
        assert all((layer / line.partition(",")[0]).is_file() for line in record)


def test_package_without_a_fitting_wheel_is_named(source: Path, tmp_path: Path) -> None:
    """Nothing is compiled for this machine by mistake; the message names what is missing and for what."""
    (source / "requirements.txt").write_text("no-such-package==1.0 --hash=sha256:" + "0" * 64)

    finished = run_recipe(source, tmp_path / "layer", "arm64")

    assert finished.returncode != 0
    assert "no-such-package==1.0 has no wheel for CPython 3.13 on arm64 Linux" in finished.stderr


def test_module_that_does_not_compile_is_named(source: Path, tmp_path: Path) -> None:
    """A fault that would end every cold start ends the build."""
    (source / "domain/broken.py").write_text("def")

    finished = run_recipe(source, tmp_path / "layer")

    assert finished.returncode != 0
    assert "/opt/python/domain/broken.py" in finished.stderr


@pytest.mark.parametrize("name", ["requirements.txt", "auth.txt"])
def test_requirements_do_not_depend_on_the_machine_that_builds(name: str) -> None:
    """Pip judges a marker by the machine it runs on, which is not the one that the layer is for."""
    lines = (SHARED / name).read_text().splitlines()

    assert not [line for line in lines if "sys_platform" in line or "platform_machine" in line]
