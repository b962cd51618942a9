"""Make the layer, for `sam build`: pinned packages and our own, with the bytecode that Lambda cannot write.

Run by `Makefile` in a copy of this folder; uses nothing but the standard library and pip.
"""

import compileall
import py_compile
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
RUNTIME = (3, 13)
PLATFORM = "manylinux_2_28_x86_64"


def main(artifacts: Path) -> int:
    """Fill `artifacts/python`; returns the exit status."""
    if sys.version_info[:2] != RUNTIME:
        print(f"error: the layer's bytecode needs Python {'.'.join(map(str, RUNTIME))} to build it", file=sys.stderr)
        return 1
    target = artifacts / "python"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    command += ["--no-deps", "--only-binary", ":all:", "--python-version", "3.13", "--target", str(target)]
    for platform in (PLATFORM, "manylinux2014_x86_64"):
        command += ["--platform", platform]
    if subprocess.run([*command, "-r", str(HERE / "requirements.txt")], check=False).returncode != 0:
        print("error: not every package could be installed", file=sys.stderr)
        return 1
    for name in ("decant", "domain"):
        shutil.copytree(HERE / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
    # Paths in tracebacks are those of the Lambda; hashes unchecked, since nothing changes there.
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(target, ddir="/opt/python", quiet=1, invalidation_mode=mode)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
