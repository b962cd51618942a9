"""One local cloud at a time in a state folder."""

import os
from pathlib import Path

import pytest

from infra.local.errors import LocalCloudError
from infra.local.state import Claim, running


def test_folder_is_claimed_once(tmp_path: Path) -> None:
    """A second one is told who has it."""
    with Claim(tmp_path, "up") as claim:
        claim.announce("http://127.0.0.1:4566", "postgresql+asyncpg://127.0.0.1/postgres")

        with pytest.raises(LocalCloudError, match=rf"`up` \(process {os.getpid()}\) is using"):
            Claim(tmp_path, "serve").__enter__()


def test_announced_address_is_found(tmp_path: Path) -> None:
    """Others see where the one that runs is."""
    with Claim(tmp_path, "up") as claim:
        claim.announce("http://127.0.0.1:4566", "postgresql+asyncpg://127.0.0.1/postgres")

        found = running(tmp_path)

    assert found is not None
    assert (found.command, found.url) == ("up", "http://127.0.0.1:4566")


def test_nothing_is_found_before_and_after(tmp_path: Path) -> None:
    """A folder of nobody, and one that was left, have nothing running."""
    assert running(tmp_path) is None

    with Claim(tmp_path, "up") as claim:
        assert running(tmp_path) is None
        claim.announce("http://127.0.0.1:4566", "postgresql+asyncpg://127.0.0.1/postgres")

    assert running(tmp_path) is None


def test_left_by_a_kill_it_can_be_claimed(tmp_path: Path) -> None:
    """The text of a process that was killed keeps nobody out."""
    (tmp_path / "running.json").write_text('{"pid": 1, "command": "up", "url": "", "database_url": ""}')

    assert running(tmp_path) is None
    with Claim(tmp_path, "up"):
        pass
