"""The admin routes, through the gateway, with tokens of the local cloud's own issuer."""

import httpx
import pytest

from decant_cloud.local.tokens import mint
from tests.e2e.running import RunningCloud


@pytest.mark.parametrize("path", ["/tasks", "/queues"])
def test_admin_route_answers_who_has_a_token(local_cloud: RunningCloud, path: str) -> None:
    """`make token` opens it; nothing else does."""
    token = mint(local_cloud.folder.parent, "tasks:admin")

    with httpx.Client(base_url=local_cloud.api_url, timeout=120) as client:
        refused = client.get(path)
        answered = client.get(path, headers={"Authorization": f"Bearer {token}"})

    assert (refused.status_code, answered.status_code) == (401, 200)
