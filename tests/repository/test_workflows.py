"""Workflows, and the packages that they and the layers use."""

import re
import subprocess
from typing import Any

import yaml

from decant_cloud.install import find_uv
from tests.loading import ROOT

FOLDER = ROOT / ".github/workflows"


def workflow(name: str) -> dict[str, Any]:
    """One workflow, as GitHub reads it."""
    found: dict[str, Any] = yaml.safe_load((FOLDER / f"{name}.yml").read_text())
    return found


def commands(job: dict[str, Any]) -> list[str]:
    """What a job runs, in order."""
    return [step["run"] for step in job["steps"] if "run" in step]


def test_workflow_deploys_the_main_branch_alone() -> None:
    """A run that is started by hand on another branch builds and deploys nothing."""
    on_main = "github.ref == 'refs/heads/main'"

    assert workflow("deploy")["jobs"]["build"]["if"] == on_main
    assert workflow("deploy-stage")["jobs"]["deploy"]["if"] == on_main


def test_workflows_install_nothing_by_themselves() -> None:
    """Everything is installed by `make`, which installs what is pinned by hash."""
    ran = [
        command
        for path in FOLDER.glob("*.yml")
        for job in workflow(path.stem)["jobs"].values()
        if "steps" in job
        for command in commands(job)
    ]

    assert ran
    assert not any(re.search(r"\b(pip|uv|npm|npx|curl|wget|apt-get|docker)\b", command) for command in ran)


def test_uv_is_installed_in_one_version_by_its_hash() -> None:
    """A release of uv changes nothing until the pinned version is changed."""
    pinned = (ROOT / "requirements/uv.txt").read_text()

    assert re.match(r"uv==[\d.]+ \\\n +--hash=sha256:", pinned.split("make lock\n")[1])
    assert (
        subprocess.run([find_uv(), "--version"], capture_output=True, text=True, check=True).stdout.split()[1] in pinned
    )


def test_workflow_of_pull_requests_reaches_no_stage() -> None:
    """The code of a pull request runs without a role, an environment or a secret."""
    jobs = workflow("pull-request")["jobs"].values()

    assert not any("environment" in job or "id-token" in job["permissions"] for job in jobs)
    assert workflow("pull-request")["permissions"] == {}


def test_page_of_licences_has_every_package_of_the_layers() -> None:
    """A package that is added to a layer is added to the page."""
    page = (ROOT / "docs/licences.md").read_text()
    locked = "".join((ROOT / f"shared/{name}.txt").read_text() for name in ("requirements", "auth", "docs"))

    def canonical(names: list[str]) -> set[str]:
        return {re.sub(r"[-_.]+", "-", name).lower() for name in names}

    listed = canonical(re.findall(r"^\| ([\w.-]+) \| [^|-]+", page, re.MULTILINE)) - {"package"}
    assert listed == canonical(re.findall(r"^([\w.-]+)==", locked, re.MULTILINE))
