"""Run a public Celery project on `decant.celery`.

Every module with tasks is imported in a process of its own, in which `celery` is `decant.celery`. A project whose other
dependencies are not installed is reported with the missing package.
"""

import subprocess
import sys
from collections import Counter
from pathlib import Path

from decant_cloud.celery_check.findings import findings
from decant_cloud.findings import Kind

_IMPORT = """
import importlib, sys, warnings
from tests.oracle import alias
warnings.simplefilter("ignore")
alias.install()
sys.path.insert(0, sys.argv[1])
from decant.celery import loading
importlib.import_module(sys.argv[2])
print(len(loading.tasks))
"""
_TIMEOUT_S = 60


def verify(project: Path) -> tuple[tuple[int, ...], list[str]]:
    """The figures of a project, and the reason of every module that cannot be imported."""
    counts, modules = _survey(project)
    registered, failed = _import_all(project, modules)
    found = (counts[Kind.TASK], counts[Kind.DIFFERS], counts[Kind.CHANGE])
    return (*found, len(modules), len(modules) - len(failed), registered), failed


def _survey(project: Path) -> tuple[Counter[Kind], list[Path]]:
    """Counts of the findings, and the modules that define tasks."""
    counts, modules = Counter[Kind](), []
    for file in sorted(project.rglob("*.py")):
        try:
            found = findings(file, file.read_text())
        except (SyntaxError, UnicodeDecodeError):
            continue
        counts.update(finding.kind for finding in found)
        if any(finding.kind is Kind.TASK for finding in found):
            modules.append(file)
    return counts, modules


def _import_all(project: Path, modules: list[Path]) -> tuple[int, list[str]]:
    """Number of registered tasks, and a line for each module that cannot be imported."""
    registered, failed = 0, []
    for module in modules:
        root, name = _importable(module)
        command = [sys.executable, "-c", _IMPORT, str(root), name]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
        if done.returncode == 0:
            registered += int(done.stdout.split()[-1])
        else:
            failed.append(f"{module.relative_to(project.parent)}: {done.stderr.strip().splitlines()[-1]}")
    return registered, failed


def _importable(module: Path) -> tuple[Path, str]:
    """The folder above the outermost package, and the module's name."""
    root = module.parent
    while (root / "__init__.py").exists():
        root = root.parent
    return root, ".".join(module.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
