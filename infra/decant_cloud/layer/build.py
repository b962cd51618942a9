"""Make a layer, for `sam build`: pinned packages and our own, with the bytecode that Lambda cannot write.

The same inputs give the same bytes on every host, so that a layer with nothing new in it is not uploaded again.
`shared/Makefile` runs this in a copy of `shared/`, with the Python of `.venv`, whose version is that of the runtime.
"""

import argparse
import csv
import ensurepip
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

from decant_cloud.layer.sbom import sbom
from decant_cloud.layer.wrapper import write_wrapper

HERE = Path.cwd()
RUNTIME = "3.13"
MACHINES = {"x86_64": "x86_64", "arm64": "aarch64"}
"""What wheels call each of Lambda's architectures."""

GLIBC_MINORS = range(17, 35)
"""Of the manylinux tags that the runtime can load: its Amazon Linux 2023 has glibc 2.34.

Source: PEP 600; https://docs.aws.amazon.com/linux/al2023/ug/core-glibc.html
"""

LEFT_OUT = (
    "bin",  # commands for a shell, which name this host's interpreter
    "include",  # headers of C
    "*/**/tests",
    *(f"{package}/testing" for package in ("alembic", "mako", "sqlalchemy")),  # for the authors of plug-ins
    *(f"*/**/*.{ending}" for ending in ("c", "cpp", "h", "hpp", "pxd", "pxi", "pyx")),  # of modules compiled already
    "*.dist-info/INSTALLER",
    "*.dist-info/REQUESTED",
    "*.dist-info/direct_url.json",
)
"""Patterns of what no function reads. Licences stay, and so does what `importlib.metadata` answers from."""

AT = 315_619_200
"""Earliest modification time, seconds: 1980-01-02, which a zip can represent in every time zone."""


class BuildError(Exception):
    """The layer could not be built; the message contains the reason."""


def main() -> int:
    """Fill a folder's `python/`, which Lambda puts on the path, and describe its packages; returns the exit status."""
    layers = tomllib.loads((HERE / "layers.toml").read_text())
    parser = argparse.ArgumentParser(description="Make a layer.")
    parser.add_argument("layer", choices=layers, help="which, by its name in the template")
    parser.add_argument("artifacts", type=Path, help="folder to fill; must be empty")
    parser.add_argument("--architecture", choices=MACHINES, required=True)
    arguments = parser.parse_args()
    try:
        target = arguments.artifacts / "python"
        build(target, arguments.architecture, **layers[arguments.layer])
        for script in write_wrapper(arguments.artifacts):
            os.utime(script, (AT, AT))
        described = arguments.artifacts / "sbom.cdx.json"
        described.write_text(json.dumps(sbom(arguments.layer, target), indent=1))
        settle(described)
    except BuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def build(target: Path, architecture: str, requirements: str, packages: Sequence[str]) -> None:
    """Make one layer.

    Args:
        target: Folder that comes to hold the packages.
        architecture: `x86_64` or `arm64`, independent of the host.
        requirements: File with the pinned packages, in this folder.
        packages: Our own packages that it holds, in this folder.
    Raises:
        BuildError: this Python is not the runtime's, the folder is there, or a package has no fitting wheel or does
            not compile.
    """
    if sys.version_info[:2] != tuple(map(int, RUNTIME.split("."))):
        raise BuildError(
            f"the layer's bytecode needs Python {RUNTIME} to make it, and this is {sys.version.split()[0]}"
        )
    if target.exists():
        raise BuildError(f"{target} is there already; a layer is made from nothing")
    install(target, architecture, HERE / requirements)
    for name in packages:
        shutil.copytree(HERE / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
    if (HERE / "rds-roots.pem").is_file():
        shutil.copyfile(HERE / "rds-roots.pem", target / "decant/db/rds-roots.pem")
    prune(target)
    compile_all(target)
    settle(target)


def install(target: Path, architecture: str, requirements: Path) -> None:
    """Install the pinned packages from wheels for the runtime alone: nothing is compiled for this host by mistake."""
    command = [*pip(), "install", "--quiet", "--require-hashes", "--no-deps", "--no-compile", "--only-binary", ":all:"]
    command += ["--python-version", RUNTIME, "--implementation", "cp", "--target", str(target)]
    for minor in GLIBC_MINORS:
        command += ["--platform", f"manylinux_2_{minor}_{MACHINES[architecture]}"]
    command += ["--platform", f"manylinux2014_{MACHINES[architecture]}"]  # what 2_17 was called before PEP 600
    command += ["--requirement", str(requirements)]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode != 0:
        missing = re.search(r"No matching distribution found for (\S+)", finished.stderr)
        raise BuildError(
            f"{missing[1]} has no wheel for CPython {RUNTIME} on {architecture} Linux with glibc 2.{GLIBC_MINORS[-1]}, "
            "or the package index cannot be reached"
            if missing
            else f"not every package could be installed\n{finished.stderr.strip()}"
        )


def pip() -> list[str]:
    """How to start pip; environments that uv makes have none, but for the wheel that comes with Python."""
    if find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    bundled = sorted(Path(ensurepip.__file__).parent.glob("_bundled/pip-*.whl"))
    if not bundled:
        raise BuildError(f"{sys.executable} has no pip")
    return [sys.executable, str(bundled[-1] / "pip")]


def prune(target: Path) -> None:
    """Remove files that no function reads, also from each package's record of its files."""
    for path in {path for pattern in LEFT_OUT for path in target.glob(pattern)}:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    for record in target.glob("*.dist-info/RECORD"):
        with record.open(newline="") as lines:
            left = sorted(row for row in csv.reader(lines) if (target / row[0]).is_file())
        with record.open("w", newline="") as lines:
            csv.writer(lines, lineterminator="\n").writerows(left)


def compile_all(target: Path) -> None:
    """Write the bytecode of all modules, valid for any date that their sources get on the way to Lambda.

    A process compiles one package, and nothing else: which strings are shared between modules that one process compiles
    shows in their bytecode. `compileall -j` would distribute the modules in another way each time.
    """
    packages = sorted(path for path in target.iterdir() if path.is_dir() or path.suffix == ".py")
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for error in threads.map(lambda package: _compile(package, target), packages):
            if error:
                raise BuildError(f"a module does not compile; correct it or add it to LEFT_OUT\n{error}")


def _compile(package: Path, target: Path) -> str:
    command = [sys.executable, "-m", "compileall", "-q", "-o", "0", "--invalidation-mode", "unchecked-hash"]
    # Tracebacks name the files as Lambda has them; with a seed, sets of constants have the same order every time.
    command += ["-s", str(target), "-p", "/opt/python", str(package)]
    seeded = {**os.environ, "PYTHONHASHSEED": "0"}
    finished = subprocess.run(command, env=seeded, capture_output=True, text=True, check=False)
    return finished.stdout.strip() if finished.returncode else ""


def settle(target: Path) -> None:
    """Give a file, or all files below a folder, a date, and the mode with which Lambda's own user reads them.

    The date of a file depends on its content. Flask computes the entity tag of a static file from its date and size:
    with one date for all files, clients would keep a changed file that has the same size.
    """
    for path in (target, *target.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
        after_s = 0 if path.is_dir() else zlib.crc32(path.read_bytes()) % 2**28 * 2  # zip has steps of two seconds
        os.utime(path, (AT + after_s, AT + after_s))


if __name__ == "__main__":
    sys.exit(main())
