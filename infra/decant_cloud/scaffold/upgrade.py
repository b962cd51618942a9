"""Move a bundle to other versions of the two wheels, and merge the files that `decant new` wrote.

A file is merged three ways: what the old version writes for a new bundle, what the new version writes, and what the
bundle contains. The files of the bundle's owner are not touched.
"""

import re
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from decant_cloud import paths
from decant_cloud.errors import CommandError
from decant_cloud.scaffold.bundle import LOCKS, wheels_in
from decant_cloud.scaffold.template_text import with_schema

__all__ = ["Upgrade", "run", "upgrade"]

OWNED = ("README.md", "events/hello.json", "functions/hello", "shared/domain", "tests/functions")
"""Files and folders that belong to the bundle's owner as soon as they are written."""

_RENDER = """
import sys
from pathlib import Path
from decant_cloud.scaffold.bundle import render
folder, name, *wheels = sys.argv[1:]
render(Path(folder), name, [Path(wheel) for wheel in wheels])
"""
_SCHEMA = """
from decant.db.migrations import heads
from decant_cloud.paths import root
from decant_cloud.scaffold.template_text import with_schema
template = root() / "template.yaml"
template.write_text(with_schema(template.read_text(), heads(root() / "functions/migrate/versions")))
"""
_ANY_SCHEMA = "to_be_set"


def run(*, wheels: Path) -> int:
    """Upgrade the bundle, print what is new, and run the checks; returns the exit status.

    Args:
        wheels: Folder of the new wheels.

    Raises:
        CommandError: The bundle has changes that are not committed, or the folder lacks a wheel.
    """
    root = paths.root()
    changes = ["git", "-C", str(root), "status", "--porcelain"]
    if subprocess.run(changes, capture_output=True, check=False).stdout:
        raise CommandError("The bundle has changes that are not committed. Commit them, so that you can compare.")
    done = upgrade(root, wheels_in(wheels.resolve()))
    steps = [["make", "install"]] if done.is_locked else [["make", "lock"], ["make", "install"]]
    steps += [[".venv/bin/python", "-c", _SCHEMA]]
    print("".join(f"{line}\n" for line in done.news))
    for path in done.conflicts:
        print(f"conflict: {path}; edit the marked lines, then run `make test`", file=sys.stderr)
    steps += [] if done.conflicts else [["make", "check"]]
    failed = any(subprocess.run(step, cwd=root, check=False).returncode for step in steps)
    return 1 if failed or done.conflicts else 0


@dataclass(frozen=True, kw_only=True)
class Upgrade:
    """What an upgrade has changed.

    Attributes:
        news: Lines of the changelog that the old version lacks.
        conflicts: Files with lines that both sides have changed.
        is_locked: Whether the lock files fit the packages; else they have to be compiled again.
    """

    news: Sequence[str]
    conflicts: Sequence[Path]
    is_locked: bool


def upgrade(root: Path, new: Sequence[Path]) -> Upgrade:
    """Replace the wheels and lock files of a bundle, and merge the files that `decant new` wrote.

    Args:
        root: Folder of the bundle.
        new: Wheels of `decant-flask` and `decant-cloud`.
    """
    name = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["decant"]["name"]
    old = wheels_in(root / "shared/wheels")
    with tempfile.TemporaryDirectory(prefix="decant-upgrade-") as folder:
        base, update = Path(folder, "old"), Path(folder, "new")
        for target, pair in ((base, old), (update, new)):
            _render(target, name, pair, Path(folder, f"packages-{target.name}"))
        conflicts = _merge(root, base, update)
        _replace_wheels(root, old, update)
        is_locked = _replace_locks(root, base, update)
        return Upgrade(news=list(_news(Path(folder))), conflicts=conflicts, is_locked=is_locked)


def _render(target: Path, name: str, wheels: Sequence[Path], packages: Path) -> None:
    """Write a new bundle with the code of the given wheels."""
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(packages)  # the bundle's lock files name the wheel by its hash
    command = [sys.executable, "-c", _RENDER, str(target), name, *map(str, wheels)]
    # Without bytecode of functions, which is no text to merge.
    environment = {"PYTHONPATH": str(packages), "PATH": "", "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run(command, env=environment, cwd=packages, check=True)


def _news(folder: Path) -> Iterator[str]:
    """Lines of the new changelog that the old one lacks."""
    old, new = (folder / f"packages-{each}/decant_cloud/demo/CHANGELOG.md" for each in ("old", "new"))
    known = set(old.read_text().splitlines())
    yield from (line for line in new.read_text().splitlines() if line not in known)


def _merge(root: Path, base: Path, update: Path) -> list[Path]:
    """Merge every file of the skeleton; returns those with conflicts."""
    paths_of_both = {path.relative_to(each) for each in (base, update) for path in each.rglob("*") if path.is_file()}
    conflicts = []
    for path in sorted(paths_of_both):
        is_merged = not any(path.is_relative_to(owned) for owned in (*OWNED, *LOCKS, "shared/wheels"))
        if is_merged and not _merge_file(root / path, base / path, update / path):
            conflicts.append(path)
    return conflicts


def _merge_file(own: Path, base: Path, update: Path) -> bool:
    """Merge a file; False when lines of it are in conflict."""
    if not own.exists():
        if update.exists() and not base.exists():
            _write(own, update.read_text())
        return True  # a file that the owner has removed stays away
    texts = [_text(path) for path in (own, base, update)]
    if texts[0] == texts[1]:
        if update.exists():
            _write(own, texts[2])
        else:
            own.unlink()
    elif texts[1] != texts[2] and update.exists():
        with tempfile.TemporaryDirectory() as folder:
            copies = [Path(folder, name) for name in ("yours", "old version", "new version")]
            for copy, text in zip(copies, texts, strict=True):
                copy.write_text(text)
            labels = [part for copy in copies for part in ("-L", copy.name)]
            command = ["git", "merge-file", "--stdout", *labels, *map(str, copies)]
            merged = subprocess.run(command, capture_output=True, text=True, check=False)
        _write(own, merged.stdout)
        return merged.returncode == 0
    return True


def _text(path: Path) -> str:
    """Text of a file, empty when there is none; the template names no migration, since both sides change that line."""
    text = path.read_text() if path.exists() else ""
    return with_schema(text, _ANY_SCHEMA) if path.name == "template.yaml" else text


def _write(path: Path, text: str) -> None:
    if path.name == "template.yaml" and path.exists():
        schema = re.search(r"^ +Schema: ([^#\n]*?)(?: #.*)?$", path.read_text(), re.MULTILINE)
        text = with_schema(text, schema[1]) if schema else text
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _replace_wheels(root: Path, old: Sequence[Path], update: Path) -> None:
    for wheel in old:
        wheel.unlink()
    for wheel in update.glob("shared/wheels/*.whl"):
        (root / "shared/wheels" / wheel.name).write_bytes(wheel.read_bytes())


def _replace_locks(root: Path, base: Path, update: Path) -> bool:
    """Take the new lock files over; False when the owner's packages require that they are compiled again."""
    is_locked = True
    for lock in LOCKS:
        if not (root / lock).exists() and (base / lock).exists():
            continue  # its layer was removed
        if (root / lock).exists() and (root / lock).read_text() != (base / lock).read_text():
            is_locked = False
        elif (update / lock).exists():
            _write(root / lock, (update / lock).read_text())
    return is_locked
