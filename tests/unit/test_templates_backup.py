"""infra/backup.yaml: daily backups of the cluster by AWS Backup."""

from tests.stages import prod


def test_backup_is_a_choice_of_the_stage() -> None:
    """A stage without Backup has no vault."""
    assert "Backups" in prod(Backup="true").stacks
    assert "Backups" not in prod().stacks


def test_backup_covers_the_cluster_for_the_given_days() -> None:
    """The plan writes to the stage's vault, under the stage's key, and the vault outlives the stack."""
    stage = prod(Backup="true", BackupDays="90")
    stack = stage.stacks["Backups"]["Resources"]
    [rule] = stack["Plan"]["Properties"]["BackupPlan"]["BackupPlanRule"]

    assert stack["Vault"]["DeletionPolicy"] == "Retain"
    assert stack["Vault"]["Properties"]["BackupVaultName"] == "decant-prod-backups"
    assert stack["Vault"]["Properties"]["EncryptionKeyArn"] == {"Fn::GetAtt": ["Key", "Outputs.Arn"]}
    assert rule["Lifecycle"] == {"DeleteAfterDays": "90"}
    assert ":cluster:" in str(stack["Selection"]["Properties"]["BackupSelection"]["Resources"])
