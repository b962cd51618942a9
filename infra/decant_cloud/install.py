"""Install everything the bundle needs, for any python3 from 3.9 on and nothing else.

Makes three environments of Python 3.13, each from its pinned and hashed requirements file, and only when that
file changed since the last time:

    .venv                     development and tests        requirements/dev.txt
    .decant/localstack        the local cloud              infra/decant_cloud/local/localstack.txt
    .decant/lambda-image      what AWS's image holds       infra/decant_cloud/local/lambda-image.txt

and with `--with NAME` those of `OPTIONAL`, each of which one `make` target needs. ENGINE=localemu selects the second
engine of the local cloud.

A bundle made by `decant new` runs this module from the wheel in `shared/wheels/`, before anything is installed. The
files that it lacks in `requirements/` are those of the wheel.

`uv` does the work, in the version of `uv.txt`. Where the machine has another version or none, it is installed into
`.decant/uv` first, by its hash.

Bytecode is written of what functions and the first commands import; of everything, it would take a minute.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import pkgutil
import re
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

PACKAGE = Path(__file__).resolve().parent
HERE = Path(os.environ.get("DECANT_BUNDLE") or Path.cwd()).resolve()
ROOT = next((each for each in (HERE, *HERE.parents) if (each / "template.yaml").is_file()), HERE)
STATE = ROOT / ".decant"
PYTHON = "3.13"


def locked(name: str) -> Path:
    """Path of a lock file: in `requirements/` of this repository, else of this package.

    Args:
        name: Path in the package. A file of a package that is in a zip file is copied into `.decant`.
    """
    own = [each / "requirements" / Path(name).name for each in (ROOT, PACKAGE.parents[1]) if name.startswith("locks/")]
    for path in (*own, PACKAGE / name):
        if path.is_file():
            return path
    copy, text = STATE / name, pkgutil.get_data("decant_cloud", name)
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_bytes(text or b"")
    return copy


ENVIRONMENTS = {
    "development": (ROOT / ".venv", "locks/dev.txt"),
    "local cloud": (STATE / "localstack", "local/localstack.txt"),
    "Lambda image": (STATE / "lambda-image", "local/lambda-image.txt"),
}
OPTIONAL = {  # asked for by name: --with sam
    name: (STATE / name, f"{'local' if name == 'localemu' else 'locks'}/{name}.txt")
    for name in ("bench", "celery", "client", "localemu", "policy", "queues", "sam", "site", "workflows")
}
PREPARATION = "from decant_cloud.emulator_patches import preparation; preparation."
FIRST_RUNS = {  # what the first commands would do one after the other
    "development": ["import boto3, psycopg, decant_cloud.local.commands.up, decant_cloud.scaffold.commands"],
    "local cloud": [f"{PREPARATION}compile_modules()", f"{PREPARATION}index_apis('.decant/localstack-cache')"],
}
GROUPS = {  # what uv compiles for a bundle without `*.in` files: dependency groups of its pyproject.toml
    "shared/requirements": ["--group", "shared"],
    "shared/auth": ["--group", "auth", "--constraint", "shared/requirements.txt"],
    "shared/docs": ["--group", "docs", "--constraint", "shared/requirements.txt"],
    "requirements/dev": ["--group", "dev"],
}
LOCKS = {  # how each is compiled: for every platform, unless its packages exist for Linux and macOS alone
    "shared/requirements": ["--universal"],
    "shared/auth": ["--universal"],
    "shared/docs": ["--universal", "--no-deps"],
    **{f"requirements/{name}": ["--universal"] for name in ("bundle", "dev", "bench", "celery", "client", "queues")},
    **{f"requirements/{name}": ["--universal"] for name in ("site", "uv", "workflows")},
    **{f"requirements/{name}": [] for name in ("policy", "sam")},
    "infra/decant_cloud/local/lambda-image": ["--universal"],
    **{f"infra/decant_cloud/local/{name}": [] for name in ("localemu", "localstack")},
}


class InstallError(Exception):
    """Something is missing that this script cannot install; the message contains the remedy."""


def run(arguments: Sequence[str] = ()) -> int:
    """Install, or compile the lock files; returns the exit status."""
    parser = argparse.ArgumentParser(description="Install everything the bundle needs.")
    parser.add_argument("--lock", action="store_true", help="compile each *.in into its pinned *.txt and stop")
    parser.add_argument("--with", dest="wanted", choices=OPTIONAL, help="install this environment too")
    given = parser.parse_args(arguments)
    try:
        uv = find_uv()
        if given.lock:
            lock(uv)
        else:
            install(uv, given.wanted)
    except InstallError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped; run the same command again to go on", file=sys.stderr)
        return 130
    return 0


def find_uv() -> str:
    """Path of uv in the pinned version, installed into `.decant/uv` by its hash when the machine has another one."""
    own = STATE / "uv/bin/uv"
    requirements = locked("locks/uv.txt")
    pinned = re.findall(r"^uv==(\S+)", requirements.read_text(), re.MULTILINE)[0]
    for candidate in (shutil.which("uv"), str(own)):
        if candidate and version_of(candidate) == pinned:
            return candidate
    report(f"Installing uv {pinned}")
    folder = own.parent.parent
    shutil.rmtree(folder, ignore_errors=True)
    pip = ["-m", "pip", "install", "--quiet", "--require-hashes", "--only-binary", ":all:", "-r", str(requirements)]
    if find_spec("pip"):
        made = execute([sys.executable, *pip, "--target", str(folder)])
    else:  # a new environment has it, after 5 s
        made = execute([sys.executable, "-m", "venv", str(folder)])
        made = made if made.returncode else execute([str(own.parent / "python"), *pip])
    if made.returncode != 0:
        shutil.rmtree(folder, ignore_errors=True)
        raise InstallError(f"uv could not be installed; install uv {pinned} yourself and try again.\n{tail(made)}")
    return str(own)


def version_of(program: str) -> str | None:
    """The version of uv or Python; None when it does not start."""
    try:
        found = execute([program, "--version"])
    except OSError:
        return None
    return found.stdout.split()[1] if found.returncode == 0 else None


def find_python(uv: str) -> str:
    """Path of a Python 3.13 interpreter, fetched by uv when the machine has none."""
    found = execute([uv, "python", "find", PYTHON])
    if found.returncode != 0:
        report(f"Fetching Python {PYTHON}")
        fetched = execute([uv, "python", "install", PYTHON])
        found = execute([uv, "python", "find", PYTHON])
        if fetched.returncode != 0 or found.returncode != 0:
            raise InstallError(
                f"Python {PYTHON} is not on this machine and could not be fetched; install it (python.org, pyenv or "
                f"your system's packages) and try again.\n{tail(fetched)}"
            )
    return found.stdout.strip()


def install(uv: str, wanted: str | None) -> None:
    """Bring every environment up to its requirements file; what is up to date is left alone."""
    wanted_too = {name: OPTIONAL[name] for name in (wanted, os.environ.get("ENGINE")) if name in OPTIONAL}
    environments = {name: (folder, locked(lock)) for name, (folder, lock) in {**ENVIRONMENTS, **wanted_too}.items()}
    outdated = {name: pair for name, pair in environments.items() if not is_current(*pair)}
    if not outdated:
        add_bundle()
        return
    python = find_python(uv)
    errors: list[str] = []

    def work(name: str, folder: Path, requirements: Path) -> None:
        started = time.monotonic()
        failed = sync(uv, python, folder, requirements)
        if failed is None:
            run_first(folder, FIRST_RUNS.get(name, []))
            report(f"Installed {name} ({folder.relative_to(ROOT)}) in {time.monotonic() - started:.0f} s")
        else:
            errors.append(f"{name}: {failed}")

    report(f"Installing {', '.join(outdated)} with Python {PYTHON}")
    threads = [threading.Thread(target=work, args=(name, *pair)) for name, pair in outdated.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise InstallError("not everything could be installed; is the package index reachable?\n" + "\n".join(errors))
    add_bundle()


def run_first(folder: Path, programs: Sequence[str]) -> None:
    """Run Python programs in an environment, all at a time, for the bytecode and files that they write.

    They may fail: the first start repeats them. The tooling is on their path, after the packages of the environment.
    """
    path = f"import sys; sys.path.append({str(PACKAGE.parent)!r}); "
    with ThreadPoolExecutor() as pool:
        list(pool.map(execute, ([str(folder / "bin/python"), "-c", path + each] for each in programs)))


def sync(uv: str, python: str, folder: Path, requirements: Path) -> str | None:
    """Make one environment hold exactly its requirements; returns what went wrong, if anything did."""
    if not version_of(str(folder / "bin/python")):
        made = execute([uv, "venv", "--quiet", "--clear", "--python", python, str(folder)])
        if made.returncode != 0:
            return tail(made)
    target = str(folder / "bin/python")
    command = [uv, "pip", "sync", "--quiet", "--require-hashes", "--python", target]
    command += options(folder)
    synced = execute([*command, str(requirements)])
    if synced.returncode != 0:
        return tail(synced)
    stamp(folder).write_text(fingerprint(folder, requirements))
    return None


def add_bundle() -> None:
    """Make .venv import the packages of `shared/` and `infra/`, as an editable install does, and run `decant`."""
    folder = ROOT / ".venv"
    packages = folder / f"lib/python{PYTHON}/site-packages"
    folders = [ROOT / "shared", *(path.parent for path in ROOT.glob("infra/decant_cloud"))]
    sources = (os.path.relpath(path, packages) for path in folders)
    (packages / "bundle.pth").write_text("".join(f"{source}\n" for source in sources))
    command = folder / "bin/decant"
    command.write_text(f"#!{folder}/bin/python\nimport sys\nfrom decant_cloud.__main__ import main\nsys.exit(main())\n")
    command.chmod(0o755)


def lock(uv: str) -> None:
    """Compile each `*.in` or dependency group into a `*.txt` of pinned versions and hashes, without addresses in it."""
    for name in LOCKS:
        if not sources_of(name, ROOT):
            continue
        report(f"Locking {name}.txt")
        failed = compile_lock(uv, name, ROOT)
        if failed is not None:
            raise InstallError(f"{name}.txt could not be compiled.\n{failed}")


def compile_lock(uv: str, name: str, root: Path, *, upgrade: bool = True) -> str | None:
    """Compile one lock file of a bundle; returns what went wrong, if anything did.

    Args:
        uv: Path of uv.
        name: A key of `LOCKS`.
        root: Folder of the bundle.
        upgrade: Whether packages that the file pins already get their newest version.
    """
    wheels = root / "shared/wheels"
    command = [uv, "pip", "compile", "--quiet", "--generate-hashes", "--no-annotate", *LOCKS[name]]
    command += ["--python-version", PYTHON, *(["--upgrade"] if upgrade else [])]
    command += ["--find-links", str(wheels)] if wheels.is_dir() else []
    compiled = execute([*command, *sources_of(name, root), "-o", f"{name}.txt"], root)
    if compiled.returncode != 0:
        return tail(compiled)
    find_wheels(root / f"{name}.txt", wheels)
    return None


def sources_of(name: str, root: Path) -> list[str]:
    """The arguments with which uv compiles a lock file; none when the bundle does not have it."""
    if (root / f"{name}.in").is_file():
        return [f"{name}.in"]
    arguments, project = GROUPS.get(name, []), (root / "pyproject.toml").read_text()
    is_there = arguments and re.search(rf"^{arguments[1]} = \[", project, re.MULTILINE)
    return arguments if is_there else []


def find_wheels(path: Path, wheels: Path) -> None:
    """Name the folder of a bundle's wheels in a lock file, which uv leaves out."""
    text = path.read_text()
    if wheels.is_dir() and re.search(r"^decant-", text, re.MULTILINE):
        path.write_text(f"--find-links {os.path.relpath(wheels, path.parent)}\n{text}")


def is_current(folder: Path, requirements: Path) -> bool:
    return stamp(folder).is_file() and stamp(folder).read_text() == fingerprint(folder, requirements)


def stamp(folder: Path) -> Path:
    return folder / "installed-from.sha256"


def fingerprint(folder: Path, requirements: Path) -> str:
    return hashlib.sha256(requirements.read_bytes() + "".join(options(folder)).encode()).hexdigest()


def options(folder: Path) -> list[str]:
    return ["--compile-bytecode"] if folder.name == "lambda-image" else []  # functions cannot write it


def execute(command: list[str], folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "UV_CUSTOM_COMPILE_COMMAND": "make lock", "UV_NO_PROGRESS": "1"}
    environment |= {"PIP_REQUIRE_VIRTUALENV": "0", "PIP_USER": "0"}  # of the user, for packages of their own
    environment["PYENV_VERSION"] = PYTHON  # or pyenv's python3.13 does not start where another version is selected
    for name in ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "VIRTUAL_ENV"):
        environment.pop(name, None)
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def tail(finished: subprocess.CompletedProcess[str]) -> str:
    return "\n".join((finished.stderr or finished.stdout).strip().splitlines()[-8:])


def report(text: str) -> None:
    print(f"• {text}", flush=True)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
