"""infra/pipeline.yaml: who may deploy, with what, and how far that reaches."""

from typing import Any

from tests.stacks import of_type, policy_statements, stack
from tests.stages import prod


def pipeline(**parameters: Any) -> dict[str, Any]:
    """The stack of one stage and repository."""
    return stack("pipeline", Stage="prod", Repository="owner/name", **parameters)


def test_pipeline_trusts_one_environment_of_one_repository() -> None:
    """A branch, a fork or another environment gets no role."""
    [trust] = of_type(pipeline(), "AWS::IAM::Role")["DeployRole"]["AssumeRolePolicyDocument"]["Statement"]

    assert trust["Condition"]["StringEquals"] == {
        "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
        "token.actions.githubusercontent.com:sub": "repo:owner/name:environment:prod",
    }


def test_pipeline_has_no_long_lived_key() -> None:
    """There are no users."""
    assert not of_type(pipeline(), "AWS::IAM::User")
    assert not of_type(pipeline(), "AWS::IAM::AccessKey")


def test_pipeline_passes_one_role_to_one_service() -> None:
    """Who deploys cannot hand CloudFormation another role, or that role to another service."""
    statements = {each["Sid"]: each for each in policy_statements(of_type(pipeline(), "AWS::IAM::Role")["DeployRole"])}

    passing = statements["WithCloudFormationsRole"]

    assert passing["Resource"] == {"Fn::GetAtt": ["CloudFormationRole", "Arn"]}
    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": "cloudformation.amazonaws.com"}}


def test_pipeline_makes_no_role_without_its_boundary() -> None:
    """A template that was tampered with cannot make itself an administrator."""
    policy = of_type(pipeline(), "AWS::IAM::ManagedPolicy")["NamedPolicy"]["PolicyDocument"]["Statement"]
    granting = {"iam:CreateRole", "iam:PutRolePolicy", "iam:AttachRolePolicy", "iam:PutRolePermissionsBoundary"}

    holders = [each for each in policy if granting & set(each["Action"])]

    assert all(
        each["Condition"]["StringEquals"] == {"iam:PermissionsBoundary": {"Ref": "Boundary"}} for each in holders
    )
    assert not any("iam:DeleteRolePermissionsBoundary" in each["Action"] for each in policy)


def test_pipeline_boundary_is_as_wide_as_the_stage_and_no_wider() -> None:
    """Every action that a role of the stage has is within it, and none of IAM's is."""
    stage = prod(Backup="true")
    roles = [role for nested in stage.stacks for role in stage.of_type("AWS::IAM::Role", nested).values()]
    documents = [policy["PolicyDocument"] for role in roles for policy in role.get("Policies", [])]
    documents += [
        each["PolicyDocument"]
        for nested in stage.stacks
        for each in stage.of_type("AWS::IAM::ManagedPolicy", nested).values()
    ]
    used: set[str] = set()
    for document in documents:
        for statement in document["Statement"]:
            actions = statement["Action"]
            used |= set(actions if isinstance(actions, list) else [actions])
    statements = of_type(pipeline(), "AWS::IAM::ManagedPolicy")["Boundary"]["PolicyDocument"]["Statement"]

    within = {
        action
        for each in statements
        for action in (each["Action"] if isinstance(each["Action"], list) else [each["Action"]])
    }

    assert used == within
    assert not any(action.startswith(("iam:", "sts:")) or "*" in action for action in within)


def test_pipeline_bucket_is_closed() -> None:
    """Encrypted, kept in versions, not public, over TLS alone."""
    resolved = pipeline()
    bucket = of_type(resolved, "AWS::S3::Bucket")["Artefacts"]
    [statement] = of_type(resolved, "AWS::S3::BucketPolicy")["ArtefactsPolicy"]["PolicyDocument"]["Statement"]

    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["VersioningConfiguration"]["Status"] == "Enabled"
    assert statement["Effect"] == "Deny"
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_pipeline_uses_a_provider_that_is_there() -> None:
    """An account has GitHub's provider once."""
    arn = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"
    resolved = pipeline(ProviderArn=arn)

    [trust] = of_type(resolved, "AWS::IAM::Role")["DeployRole"]["AssumeRolePolicyDocument"]["Statement"]

    assert trust["Principal"] == {"Federated": arn}
    assert not of_type(resolved, "AWS::IAM::OIDCProvider")
