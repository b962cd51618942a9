"""A new bundle with both wheels: its own tests pass, and it can be upgraded."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from decant_cloud.install import find_uv
from decant_cloud.scaffold.bundle import make
from decant_cloud.scaffold.upgrade import upgrade
from tests.documented import commands
from tests.loading import ROOT, repository_files
from tests.sample.bundle import build_wheels

pytestmark = [pytest.mark.long, pytest.mark.timeout(2400)]

MODEL = '''"""Rooms."""

from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """Base of this app's tables."""


class Room(Base):
    """A room."""

    __tablename__ = "rooms"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
'''

PARTS = [
    ["new", "function", "GET /rates", "--database", "--queue", "--auth", "bookings:read", "--internet"],
    ["new", "migration", "add rooms"],
    *(
        shlex.split(line)[1:]
        for line in commands(ROOT / "docs/new-bundle.md")
        if re.match("decant (new|remove) ", line)
    ),
]
"""Commands that add a part of each kind: those of the page, and others."""


def run(bundle: Path, *command: str, folder: Path | None = None) -> str:
    """Run a command of the bundle's environment in its folder or another one; returns its output."""
    plain = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "DECANT_BUNDLE"}}
    finished = subprocess.run(
        [str(bundle / ".venv/bin" / command[0]), *command[1:]],
        cwd=folder or bundle,
        env=plain,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, f"{command}: {finished.stdout}{finished.stderr}"
    return finished.stdout


def install(bundle: Path) -> None:
    """Install the development environment of a bundle, as `make install` does with all of them."""
    python = str(bundle / ".venv/bin/python")
    for command in (
        [find_uv(), "venv", "--quiet", "--clear", "--python", sys.executable, str(bundle / ".venv")],
        [find_uv(), "pip", "sync", "--quiet", "--require-hashes", "--python", python, "requirements/dev.txt"],
    ):
        subprocess.run(command, cwd=bundle, check=True, capture_output=True)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Both wheels of this repository."""
    return build_wheels(ROOT, tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def bundle(wheels: list[Path]) -> Iterator[Path]:
    """A new bundle with its environment, and with a part of each kind."""
    with tempfile.TemporaryDirectory(prefix="decant-bundle-") as parent:
        Path(parent).chmod(0o755)  # root's PostgreSQL runs as another user, out of the bundle's environment
        folder = Path(parent) / "myshop"
        make(folder, wheels)
        install(folder)
        (folder / "shared/domain/rooms.py").write_text(MODEL)
        for part in PARTS:
            run(folder, "decant", *part)
        yield folder


def test_parts_of_a_new_bundle_pass_their_tests_and_checks(bundle: Path) -> None:
    """What `decant new` writes is formatted, typed, and passes its tests unchanged."""
    run(bundle, "ruff", "format", "--check", ".")
    run(bundle, "ruff", "check", ".")
    run(bundle, "mypy")
    tests = run(bundle, "pytest", "-q")

    assert " passed" in tests
    assert "failed" not in tests


def test_lock_files_can_be_compiled_again(bundle: Path, tmp_path: Path) -> None:
    """`make lock` compiles the dependency groups, and the result can be installed from the bundle's wheels."""
    copy = tmp_path / "myshop"
    shutil.copytree(bundle, copy, ignore=shutil.ignore_patterns(".venv", ".decant", ".mypy_cache", ".ruff_cache"))
    edit(copy / "pyproject.toml", 'shared = ["decant-flask"]', 'shared = ["decant-flask", "tabulate"]')

    run(bundle, "python", "-m", "decant_cloud.install", "--lock", folder=copy)

    python = str(bundle / ".venv/bin/python")
    for lock in ("requirements/dev.txt", "shared/requirements.txt"):
        command = [
            find_uv(),
            "pip",
            "install",
            "--dry-run",
            "--quiet",
            "--require-hashes",
            "--python",
            python,
            "-r",
            lock,
        ]
        subprocess.run(command, cwd=copy, check=True)
        assert "tabulate==" in (copy / lock).read_text()
    assert "flask-swagger-ui==" in (copy / "shared/docs.txt").read_text()


def test_upgrade_merges_the_skeleton_and_keeps_what_is_the_owners(
    bundle: Path, wheels: list[Path], tmp_path: Path
) -> None:
    """Of 20 commits in the owner's files, no line is in conflict; the skeleton has the new version's lines."""
    copy, own = tmp_path / "repository", tmp_path / "myshop"
    shutil.copytree(bundle, own, ignore=shutil.ignore_patterns(".venv", ".decant", ".mypy_cache", ".ruff_cache"))
    git = ["git", "-C", str(own), "-c", "user.name=owner", "-c", "user.email=owner@example.com"]
    for number in range(20):
        with (own / f"functions/rooms_{('open', 'get')[number % 2]}/app.py").open("a") as file:
            file.write(f"# note {number}\n")
        subprocess.run([*git, "add", "--all"], check=True)
        subprocess.run([*git, "commit", "--quiet", "--message", f"Note {number}"], check=True)
    for name in repository_files():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, copy / name)
    edit(copy / "pyproject.toml", 'version = "0.1.0"', 'version = "0.2.0"')
    edit(copy / "CHANGELOG.md", "### Added\n", "### Added\n\n- Something of version 0.2.0.\n")
    edit(copy / "shared/docs.txt", "#    make lock", "#    `make lock`")
    edit(copy / "template.yaml", "Memory: {Type: Number, Default: 512", "Memory: {Type: Number, Default: 768")

    done = upgrade(own, build_wheels(copy, tmp_path / "dist"))

    changed = subprocess.run([*git, "diff", "--name-only"], capture_output=True, text=True, check=True).stdout.split()
    assert (done.conflicts, done.is_locked) == ([], True)
    assert "- Something of version 0.2.0." in done.news
    assert "Default: 768" in (own / "template.yaml").read_text()
    assert "  RoomsOpen:" in (own / "template.yaml").read_text()
    assert set(changed) == {
        "requirements/dev.txt",
        "shared/docs.txt",
        "shared/requirements.txt",
        *(f"shared/wheels/{wheel.name}" for wheel in wheels),
        "template.yaml",
    }


def edit(path: Path, old: str, new: str) -> None:
    """Replace a text that occurs in a file."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
