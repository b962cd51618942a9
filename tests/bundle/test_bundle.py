"""The bundle as a whole: its parts agree, its stages can be deployed, its models have migrations."""

import pytest

from decant_cloud.checks import deploy, layout
from decant_cloud.paths import root
from decant_cloud.scaffold.migrations import differences


def test_template_functions_and_events_agree() -> None:
    """Every function has a folder, a block in template.yaml and an event."""
    assert layout.disagreements(root()) == []


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_stage_can_be_deployed(stage: str) -> None:
    """Connections, timeouts, sizes and permissions of a stage are consistent."""
    assert deploy.findings(stage) == []


def test_migrations_make_the_tables_of_the_models(database_url: str) -> None:
    """`decant new migration` would have nothing to write."""
    assert differences(root(), database_url) == []
