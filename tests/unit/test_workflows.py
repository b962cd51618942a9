"""The workflow that deploys: what it runs, in which order, and with what of others."""

import re
import subprocess
from typing import Any

import pytest
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


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yml")), ids=lambda path: path.stem)
def test_workflow_names_each_action_by_its_commit(path: Any) -> None:
    """A tag can be moved to something else."""
    used = re.findall(r"uses: (\S+)", path.read_text())

    assert all(re.search(r"@[0-9a-f]{40}$", each) for each in used if not each.startswith("./"))


def test_workflow_goes_from_tests_to_dev_to_prod() -> None:
    """What fails a test is not built, and what dev refuses never reaches prod."""
    jobs = workflow("deploy")["jobs"]

    assert {name: job.get("needs") for name, job in jobs.items()} == {
        "test": None,
        "build": "test",
        "dev": "build",
        "prod": "dev",
    }
    assert "make test" in commands(jobs["test"])


def test_workflow_builds_once() -> None:
    """Every stage gets the artefact of the one build, and makes none."""
    jobs = workflow("deploy")["jobs"]
    stage = workflow("deploy-stage")["jobs"]["deploy"]

    uploaded = [step["with"]["name"] for step in jobs["build"]["steps"] if "upload-artifact" in step.get("uses", "")]
    fetched = [step["with"]["name"] for step in stage["steps"] if "download-artifact" in step.get("uses", "")]

    assert uploaded == fetched == ["built"]
    assert not any("make build" in each or "make deploy" in each for each in commands(stage))


def test_workflow_lets_one_deployment_at_a_time_come_to_its_end() -> None:
    """A second one waits, and none is cut off half way."""
    assert workflow("deploy")["concurrency"] == {"group": "deploy", "cancel-in-progress": False}


def test_workflow_waits_for_the_reviewers_of_the_stage() -> None:
    """GitHub asks them before a job of their environment begins; the role trusts jobs of that environment alone."""
    assert workflow("deploy-stage")["jobs"]["deploy"]["environment"] == "${{ inputs.stage }}"


def test_workflow_deploys_the_main_branch_alone() -> None:
    """A run that is started by hand on another branch builds and deploys nothing."""
    on_main = "github.ref == 'refs/heads/main'"

    assert workflow("deploy")["jobs"]["build"]["if"] == on_main
    assert workflow("deploy-stage")["jobs"]["deploy"]["if"] == on_main


def test_environments_of_all_stages_are_restricted_to_the_main_branch() -> None:
    """The page's commands restrict every environment, which a workflow of another branch cannot change."""
    page = (ROOT / "docs/production.md").read_text()
    [commands] = re.findall(r"for stage in dev prod; do\n(.*?)\n *done", page, re.DOTALL)

    assert "deployment_branch_policy[custom_branch_policies]=true" in commands
    assert 'deployment-branch-policies" -f name=main' in commands


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


def test_workflow_holds_no_key() -> None:
    """It asks for a role by its own identity, and no secret is named anywhere."""
    stage = workflow("deploy-stage")["jobs"]["deploy"]

    assert stage["permissions"]["id-token"] == "write"
    assert not any("secrets." in path.read_text() for path in FOLDER.glob("*.yml"))


def test_workflow_puts_the_versions_before_back_when_the_look_fails() -> None:
    """They are written down before the deployment, and put back only when what was deployed does not work."""
    steps = workflow("deploy-stage")["jobs"]["deploy"]["steps"]
    ran = [step["run"] for step in steps if "run" in step]

    order = [next(i for i, each in enumerate(ran) if word in each) for word in ("check", "record", "release", "smoke")]

    assert order == sorted(order)
    assert "aliases restore" in ran[-1]
    assert steps[-1]["if"] == "failure() && steps.smoke.outcome == 'failure'"
