"""Scans a stage with checkov, as it would be deployed: `make check-policy`.

Every switch of the template is on, so that all there can be is looked at. What checkov finds must stand in
`policy.toml` with a reason, and what stands there must be found.
"""

import fnmatch
import functools
import json
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from decant_cloud.paths import root
from decant_cloud.scaffold.bundle import demo_folder
from decant_cloud.template.evaluate import resolve
from decant_cloud.template.model import load_template
from decant_cloud.template.stage import configured, read_stage

__all__ = ["Exemption", "Finding", "unsettled"]

CHECKOV = root() / ".decant/policy/bin/checkov"
EXEMPTIONS = "infra/policy.toml"
"""Exemptions of the bundle; those of what `decant new` writes are in the wheel."""


EVERYTHING_ON = {
    "Auth": "keys",
    "AuthKeys": "true",
    "DomainName": "api.example.com",
    "CertificateArn": "arn:aws:acm:eu-west-1:123456789012:certificate/1",
    "HostedZoneId": "Z1",
    "Waf": "true",
    "Backup": "true",
    "Nat": "each-zone",
    "Zones": "3",
    "PermissionsBoundary": "arn:aws:iam::123456789012:policy/boundary",
}


WITH_TOKENS = {"Auth": "jwt", "AuthKeys": "", "AuthTokens": "Tokens", "JwtIssuer": "issuer", "JwtPublicPem": "-"}
"""The other way to restrict callers; its resources are added to those above."""

PIPELINE = {"Stage": "prod", "Repository": "owner/name", "HostedZoneId": "Z1", "DomainName": "api.example.com"}


@dataclass(frozen=True)
class Finding:
    """One resource that fails one check."""

    check: str
    resource: str
    about: str


@dataclass(frozen=True)
class Exemption:
    """Findings that are meant to be: a check, the resources by pattern, and why."""

    check: str
    resources: str
    reason: str

    def covers(self, finding: Finding) -> bool:
        """Whether it speaks of this finding."""
        return finding.check == self.check and fnmatch.fnmatchcase(finding.resource, self.resources)


def _read(path: Path) -> list[Exemption]:
    return [Exemption(**each) for each in tomllib.loads(path.read_text())["exemption"]]


def run() -> int:
    """Print what is not settled; the exit status is 1 when something is not."""
    own, inherited = root() / EXEMPTIONS, demo_folder() / EXEMPTIONS
    exemptions = _read(own) if own.is_file() else []
    of_skeleton = [] if own == inherited else _read(inherited)
    passed, findings = scan(everything())
    lines = list(unsettled([each for each in findings if not any(by.covers(each) for by in of_skeleton)], exemptions))
    for line in lines:
        print(f"error: {line}", file=sys.stderr)
    if not lines:
        print(f"checkov: {passed} checks passed, {len(findings)} findings with a reason")
    return 1 if lines else 0


@functools.cache
def everything() -> Mapping[str, Mapping[str, Any]]:
    """Every stack of production with all that can be switched on, by name."""
    stage = read_stage(root(), "prod", configured(root(), "prod") | EVERYTHING_ON)
    pipeline = load_template(root() / "infra/pipeline.yaml")
    tokens = read_stage(root(), "prod", {**stage.given, **WITH_TOKENS})
    stacks = {name or "template": each for name, each in {**tokens.stacks, **stage.stacks}.items()}
    stacks["template"] = {"Resources": tokens.stacks[""]["Resources"] | stage.stacks[""]["Resources"]}
    return stacks | {"pipeline": resolve(pipeline, PIPELINE)}


def scan(stacks: Mapping[str, Mapping[str, Any]]) -> tuple[int, list[Finding]]:
    """Let checkov look at stacks; how many checks passed, and what did not."""
    with tempfile.TemporaryDirectory() as folder:
        for name, stack in stacks.items():
            (Path(folder) / f"{name}.json").write_text(json.dumps(stack, indent=1))
        command = [str(CHECKOV), "--directory", folder, "--framework", "cloudformation", "--output", "json"]
        command += ["--compact", "--soft-fail", "--skip-download"]
        finished = subprocess.run(command, capture_output=True, text=True, check=True)
    report = json.loads(finished.stdout)
    findings = [
        Finding(each["check_id"], f"{Path(each['file_path']).stem}.{each['resource']}", each["check_name"])
        for each in report["results"]["failed_checks"]
    ]
    return report["summary"]["passed"], findings


def unsettled(findings: Sequence[Finding], exemptions: Sequence[Exemption]) -> Iterator[str]:
    """Findings without a reason, and reasons without a finding."""
    for finding in findings:
        if not any(each.covers(finding) for each in exemptions):
            yield f"{finding.resource}: {finding.check} {finding.about}"
    for exemption in exemptions:
        if not any(map(exemption.covers, findings)):
            yield f"policy.toml: nothing fails {exemption.check} at {exemption.resources} any more"
