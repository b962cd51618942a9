"""Stages that share an account: no role of a stage reaches the resources of another stage, by a simulator of IAM."""

import json
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from decant_cloud.template.evaluate import PSEUDO_PARAMETERS
from tests.loading import ROOT
from tests.stacks import of_type, stack

pytestmark = [pytest.mark.npm, pytest.mark.long]

SOURCES = ROOT / "infra/decant_cloud/checks/simulator"
ACCOUNT, REGION = PSEUDO_PARAMETERS["AWS::AccountId"], PSEUDO_PARAMETERS["AWS::Region"]
STAGES = ("dev", "prod")

SHARED = (
    r"apigateway:\w+ on arn:aws:apigateway:\S+::/(account|tags/\S+)",  # of the account; tags of APIs have no tags
    r"sns:\w+ on .*",  # subscriptions have an id that is unique to the stage
    r"logs:\w+ on arn:aws:logs:\S+:(delivery|delivery-source|delivery-destination|anomaly-detector):.*",
)
"""Allowed on resources that belong to the account, as patterns."""


@pytest.fixture(scope="module")
def simulator() -> Path:
    """The simulator with its packages, pinned by version and hash."""
    folder = ROOT / ".decant/simulator"
    lock = (SOURCES / "package-lock.json").read_bytes()
    installed = folder / "installed-from.json"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json", ".npmrc", "simulate.mjs"):
        shutil.copy(SOURCES / name, folder)
    if not installed.is_file() or installed.read_bytes() != lock:
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--omit-lockfile-registry-resolved"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        installed.write_bytes(lock)
    return folder / "simulate.mjs"


@cache
def pipeline(stage: str) -> dict[str, Any]:
    """The resources that the pipeline's stack creates for a stage, with names in place of references."""
    text = json.dumps(
        stack("pipeline", Stage=stage, Repository="a/b", HostedZoneId=f"Z{stage}", DomainName=domain(stage))
    )
    text = text.replace("${Artefacts.Arn}", f"arn:aws:s3:::decant-artefacts-{stage}")
    named = json.loads(re.sub(r'\{"Fn::Sub": ("[^"]*")\}', r"\1", text))

    def filled(given: Any) -> Any:
        match given:
            case {"Ref": name} | {"Fn::GetAtt": [name, _]}:
                return f"arn:aws:iam::{ACCOUNT}:policy/decant-pipeline-{stage}-{name}"
            case dict():
                return {key: filled(each) for key, each in given.items()}
            case list():
                return [filled(each) for each in given]
            case _:
                return given

    resolved: dict[str, Any] = filled(named)
    return resolved


def domain(stage: str) -> str:
    """The domain name of a stage."""
    return f"{stage}.example.com"


def policies(stage: str, role: str) -> dict[str, Any]:
    """The policies of a role of a stage, and its boundary."""
    managed = of_type(pipeline(stage), "AWS::IAM::ManagedPolicy")
    if role == "functions":  # the boundary holds for any policy of their own
        everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        return {"policies": [everything], "boundary": managed["Boundary"]["PolicyDocument"]}
    if role == "CloudFormationRole":
        return {"policies": [managed[name]["PolicyDocument"] for name in ("NamedPolicy", "UnnamedPolicy")]}
    deploying = of_type(pipeline(stage), "AWS::IAM::Role")[role]["Policies"]
    return {"policies": [each["PolicyDocument"] for each in deploying]}


def resources(stage: str, of: str) -> dict[str, Any]:
    """The names of a stage's resources, and the context of a request of another stage's role for them."""
    cluster = f"arn:aws:rds:{REGION}:{ACCOUNT}:cluster:decant-{of}"
    return {
        "account": ACCOUNT,
        "region": REGION,
        "names": {
            "*": [f"decant-{of}", f"decant-{of}-x"],
            "iam:role": [f"decant-{of}-x"],
            "logs:log-group": [f"decant-{of}-x", f"/aws/lambda/decant-{of}-x", f"/aws/rds/cluster/decant-{of}/x"],
            "rds-db:db-user": [f"decant_app_{of}"],
            "route53:change": [],  # of any zone: an id that is unique to the stage
            "route53:hostedzone": [f"Z{of}"],
            "s3:object": [f"decant-artefacts-{of}"],
            "s3:bucket": [f"decant-artefacts-{of}"],
            "secretsmanager:Secret": [f"rds!cluster-{of}", f"decant-{of}"],
        },
        "context": {
            "aws:RequestedRegion": REGION,
            "aws:RequestTag/stage": stage,
            "aws:ResourceTag/stage": of,
            "aws:ResourceTag/aws:rds:primaryDBClusterArn": cluster,
            "iam:PassedToService": "lambda.amazonaws.com",
            "iam:PermissionsBoundary": f"arn:aws:iam::{ACCOUNT}:policy/decant-pipeline-{stage}-Boundary",
            "route53:ChangeResourceRecordSetsNormalizedRecordNames": [domain(of)],
        },
    }


@cache
def simulate(simulator: Path, stage: str, role: str, of: str) -> tuple[list[str], int]:
    """What a role of a stage is allowed to do with the resources of a stage, and the number of evaluations."""
    given = json.dumps(policies(stage, role) | resources(stage, of))
    command = ["node", str(simulator)]
    finished = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    result = json.loads(finished.stdout)
    return result["allowed"], result["evaluated"]


ROLES = ("CloudFormationRole", "DeployRole", "functions")


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("stage", "other"), [("dev", "prod"), ("prod", "dev")])
def test_role_of_a_stage_is_denied_the_resources_of_another(simulator: Path, role: str, stage: str, other: str) -> None:
    """Every action that the role's policies name is denied on every kind of resource of the other stage."""
    allowed, evaluated = simulate(simulator, stage, role, other)

    assert evaluated > 20
    assert [each for each in allowed if not any(re.fullmatch(pattern, each) for pattern in SHARED)] == []


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        ("CloudFormationRole", f"kms:ScheduleKeyDeletion on arn:aws:kms:{REGION}:{ACCOUNT}:key/decant-dev"),
        ("CloudFormationRole", "route53:ChangeResourceRecordSets on arn:aws:route53:::hostedzone/Zdev"),
        ("DeployRole", f"apigateway:GET on arn:aws:apigateway:{REGION}::/apikeys/decant-dev"),
        (
            "functions",
            f"secretsmanager:GetSecretValue on arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:rds!cluster-dev",
        ),
        ("functions", f"sqs:SendMessage on arn:aws:sqs:{REGION}:{ACCOUNT}:decant-dev-x"),
    ],
)
def test_role_of_a_stage_is_allowed_its_own_resources(simulator: Path, role: str, expected: str) -> None:
    """The denials above are those of the policies, and not of a simulator that denies everything."""
    allowed, _ = simulate(simulator, "dev", role, "dev")

    assert expected in allowed
