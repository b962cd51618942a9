"""Make a new bundle: the files of the demo without its functions, and those of `skeleton/`.

The demo is this repository. Its files are in the wheel, below `demo/`.
"""

import hashlib
import re
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from decant_cloud import install
from decant_cloud.errors import CommandError
from decant_cloud.openapi.command import write_document
from decant_cloud.scaffold import template_text
from decant_cloud.scaffold.demo_files import ADMIN, DEMO, demo_files
from decant_cloud.scaffold.files import write
from decant_cloud.scaffold.function_files import Needs
from decant_cloud.scaffold.functions import BUDGETS, add_function, remove_function, with_budget
from decant_cloud.scaffold.limits import write_limits
from decant_cloud.scaffold.open_routes import with_open_routes
from decant_cloud.scaffold.queues import without_queue
from decant_cloud.scaffold.routes import Route
from decant_cloud.template.model import Template, logical_id

__all__ = ["LOCKS", "add_admin", "demo_folder", "make", "new_bundle", "render", "wheels_in"]

SKELETON = Path(__file__).parent / "skeleton"
LOCKS = ("requirements/dev.txt", "shared/auth.txt", "shared/docs.txt", "shared/requirements.txt")

_NAME = re.compile(r"[a-z][a-z0-9]{1,19}")
_NAMED = (
    (r"\bdecant(?=-(\$\{|dev\b|prod\b|built\b))", "{name}"),
    (r"\bdecant(?=_app_\$\{)", "{name}"),
    (r"(?<=\bSERVICE: )decant\b", "{name}"),
    (r"(?<=\bDefault: )decant\b(?!_)", "{name}"),
    (r'(?<=^name = ")decant(?=")', "{name}"),
    (r"(?<=^# )decant$", "{name}"),
)
"""Where files of a bundle contain its name, and not that of the library."""


def make(folder: Path, wheels: Sequence[Path], *, is_demo: bool = False) -> None:
    """Make a bundle in a new folder, as a git repository with one commit.

    Args:
        folder: Its name is that of the bundle.
        wheels: Wheels of `decant-flask` and `decant-cloud`, which the bundle contains.
        is_demo: Keep the demo's functions.

    Raises:
        CommandError: The folder exists, or its name cannot be that of a bundle; nothing was written.
    """
    with new_bundle(folder, wheels, is_demo=is_demo):
        pass


@contextmanager
def new_bundle(folder: Path, wheels: Sequence[Path], *, is_demo: bool = False) -> Iterator[Path]:
    """Make a bundle whose files the block can change before they are committed; nothing remains when it raises.

    Args:
        folder: Folder of the bundle, as for `make`.
        wheels: Both wheels.
        is_demo: Keep the demo's functions.

    Yields:
        Folder in which the files are, until the block ends.

    Raises:
        CommandError: The folder exists, or its name cannot be that of a bundle; nothing was written.
    """
    if _NAME.fullmatch(folder.name) is None:
        raise CommandError(
            f"{folder.name!r} is not a name for a bundle: AWS's resources are named by it. Use 2 to 20 lower-case "
            "letters and digits, as myshop."
        )
    if folder.exists() and any(folder.iterdir()):
        raise CommandError(f"{folder} exists and is not empty. Choose another name, or remove it.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
        made = Path(scratch) / folder.name
        render(made, folder.name, wheels, is_demo=is_demo)
        yield made
        _commit(made)
        if folder.exists():
            folder.rmdir()
        made.rename(folder)
    _copy_uv(folder)


def render(folder: Path, name: str, wheels: Sequence[Path], *, is_demo: bool = False) -> None:
    """Write the files of a bundle.

    Args:
        folder: Where to write.
        name: Name of the bundle.
        wheels: Wheels of `decant-flask` and `decant-cloud`.
        is_demo: Keep the demo's functions.
    """
    demo = demo_folder()
    for source, target in _files(demo, is_demo=is_demo):
        copy = folder / target
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, copy)
    if not is_demo:
        _reduce(folder)
    checks = folder / ".github/workflows/pull-request.yml"
    checks.write_text(checks.read_text().replace("make check unit integration", "make test"))
    for path in _named_files(folder):
        path.write_text(with_name(path.read_text(), name))
    if not is_demo:
        write_document(folder)
    _pin(folder, wheels)


def demo_folder() -> Path:
    """Folder with the demo's files: in the wheel, else this repository.

    Raises:
        CommandError: Neither is there.
    """
    packaged = Path(__file__).parents[1] / "demo"
    folder = packaged if packaged.is_dir() else Path(__file__).resolve().parents[3]
    if not (folder / "requirements/bundle.txt").is_file():
        raise CommandError("The files of new bundles are in the wheel decant-cloud, and this is not an installed one.")
    return folder


def add_admin(root: Path) -> list[Path]:
    """Add the admin routes of the demo: their folders, blocks, events, tests, budgets and limits per caller.

    Raises:
        CommandError: The bundle has one of them; nothing was written.
    """
    demo = demo_folder()
    source, budgets = (demo / "template.yaml").read_text(), tomllib.loads((demo / BUDGETS).read_text())["functions"]
    text, grants = (root / "template.yaml").read_text(), (root / BUDGETS).read_text()
    for name in ADMIN:
        block = template_text.block(source, logical_id(name))
        text = template_text.insert_route(text, block)
        text = with_open_routes(text, source, template_text.paths_of(block))
        grants = with_budget(grants, name, budgets[name])
    own = [f"{part}" for name in ADMIN for part in (f"functions/{name}/app.py", f"events/{name}.json")]
    own += [f"tests/functions/{path.name}" for path in sorted(demo.glob("tests/functions/test_admin*.py"))]
    new = {root / path: (demo / path).read_text() for path in own}
    return write(new, {root / "template.yaml": text, root / BUDGETS: grants}) + write_limits(root)


def with_name(text: str, name: str) -> str:
    """The text with a bundle's name in place of the demo's."""
    for pattern, replacement in _NAMED:
        text = re.sub(pattern, replacement.format(name=name), text, flags=re.MULTILINE)
    return text


def wheels_in(folder: Path) -> list[Path]:
    """The two wheels in a folder, of the newest version there.

    Raises:
        CommandError: The folder lacks one of them.
    """
    found = [max(folder.glob(f"{name}-*.whl"), key=_version, default=None) for name in ("decant_flask", "decant_cloud")]
    wheels = [path for path in found if path is not None]
    if len(wheels) != len(found) or len({_version(path) for path in wheels}) != 1:
        raise CommandError(
            f"{folder} does not contain the wheels decant_flask and decant_cloud of one version. Name the folder that "
            "does with --wheels; in the repository of Decant, `make wheel` writes them to dist."
        )
    return wheels


def pinned(lock: str, wheel: Path, extra: str = "") -> str:
    """The text of a lock file with a wheel of the bundle in it, by version and hash."""
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    package, version = wheel.name.split("-")[0].replace("_", "-"), wheel.name.split("-")[1]
    line = f"{package}{extra}=={version} \\\n    --hash=sha256:{digest}\n"
    entries = re.split(r"(?m)^(?=[a-z0-9])", re.sub(rf"(?m)^{package}(\[.*\])?==.*\n(    .*\n)*", "", lock))
    head = entries.pop(0) if entries and not re.match(r"[a-z0-9]", entries[0]) else ""
    return head + "".join(sorted([*entries, line], key=lambda entry: re.split(r"[=\[ ]", entry)[0]))


def _version(wheel: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", wheel.name.split("-")[1]))


def _files(demo: Path, *, is_demo: bool) -> Iterator[tuple[Path, Path]]:
    """Files to copy, each with its path in the bundle; later ones replace earlier ones."""
    for path in demo_files(demo, is_demo=is_demo):
        yield path, path.relative_to(demo)
    yield demo / "requirements/bundle.txt", Path("requirements/dev.txt")
    for path in sorted(SKELETON.rglob("*")):
        target = path.relative_to(SKELETON)
        is_cache = any(part.startswith((".", "__pycache__")) for part in target.parts)
        if path.is_file() and not is_cache and not (is_demo and _is_of_app(target)):
            yield path, target


def _is_of_app(path: Path) -> bool:
    return path.is_relative_to("shared/domain") or path.is_relative_to("tests/functions")


def _reduce(folder: Path) -> None:
    """Remove the demo's functions, the admin routes and the slow queue, and add `GET /hello`."""
    template, parsed = folder / "template.yaml", Template(folder)
    for name in (*DEMO, *ADMIN, "slow_worker"):
        remove_function(folder, name, parsed)
    template.write_text(_without_uploads(without_queue(template.read_text(), "slow")))
    add_function(folder, Route.parse("GET /hello"), "hello", Needs())
    text = re.sub(r"^( +Schema:) \w+, ", r"\1 ", template.read_text(), flags=re.MULTILINE)
    template.write_text(text)


def _named_files(folder: Path) -> Iterator[Path]:
    for pattern in ("*.yaml", "*.toml", "README.md", "infra/*.yaml", ".github/workflows/*.yml"):
        yield from folder.glob(pattern)


def _pin(folder: Path, wheels: Sequence[Path]) -> None:
    """Put the wheels into the bundle, and their versions and hashes into its lock files."""
    library, cloud = wheels
    (folder / "shared/wheels").mkdir(parents=True, exist_ok=True)
    for wheel in wheels:
        shutil.copyfile(wheel, folder / "shared/wheels" / wheel.name)
    requirements, development = folder / "shared/requirements.txt", folder / "requirements/dev.txt"
    requirements.write_text("--find-links wheels\n" + pinned(requirements.read_text(), library))
    locked = pinned(pinned(development.read_text(), library, "[auth]"), cloud)
    development.write_text("--find-links ../shared/wheels\n" + locked)


def _without_uploads(text: str) -> str:
    """The template's text without the demo's bucket for uploads."""
    for name in ("Uploads", "UploadsOverTls"):
        text = template_text.drop(text, name)
    return re.sub(r"^ +UPLOADS_BUCKET: .*\n|^  # -+ uploads\n\n", "", text, flags=re.MULTILINE)


def _copy_uv(folder: Path) -> None:
    """Copy the installed uv, which the bundle would download; its installation checks the version."""
    installed, copy = install.STATE / "uv/bin/uv", folder / ".decant/uv/bin/uv"
    if installed.is_file():
        copy.parent.mkdir(parents=True)
        shutil.copy(installed, copy)


def _commit(folder: Path) -> None:
    """Make the folder a git repository with one commit."""
    git = ["git", "-C", str(folder)]
    known = subprocess.run([*git, "config", "user.email"], capture_output=True, check=False).returncode == 0
    author = [] if known else ["-c", f"user.name={folder.name}", "-c", f"user.email={folder.name}@localhost"]
    for command in (["init", "--quiet", "--initial-branch", "main"], ["add", "--all"]):
        subprocess.run([*git, *command], check=True)
    subject = f"Create the bundle {folder.name}"
    subprocess.run([*git, *author, "commit", "--quiet", "--message", subject], check=True)
