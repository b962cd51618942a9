"""One local cloud at a time in a state folder."""

import json
import os
import stat
from pathlib import Path

import pytest

from decant_cloud.local.database_address import without_password
from decant_cloud.local.errors import LocalCloudError
from decant_cloud.local.state import Claim, running


def test_folder_is_claimed_once(tmp_path: Path) -> None:
    """A second one gets an error with the holder."""
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
    """An unused folder, and one that was left, have nothing running."""
    assert running(tmp_path) is None

    with Claim(tmp_path, "up") as claim:
        assert running(tmp_path) is None
        claim.announce("http://127.0.0.1:4566", "postgresql+asyncpg://127.0.0.1/postgres")

    assert running(tmp_path) is None


def test_left_by_a_kill_it_can_be_claimed(tmp_path: Path) -> None:
    """The text of a process that was killed excludes no other process."""
    (tmp_path / "running.json").write_text('{"pid": 1, "command": "up", "url": "", "database_url": ""}')

    assert running(tmp_path) is None
    with Claim(tmp_path, "up"):
        pass


def test_files_with_the_password_are_private(tmp_path: Path) -> None:
    """What holds the database's address can be read by its owner alone, also a file of an earlier version."""
    url = "postgresql+asyncpg://postgres:secret@127.0.0.1:5566/postgres"
    (tmp_path / "running.json").touch(mode=0o644)

    with Claim(tmp_path, "up") as claim:
        claim.announce("http://127.0.0.1:4566", url)

        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}

    assert modes == dict.fromkeys(["running.json", "sam-parameters.yaml", "sam-environment.json"], 0o600)
    assert json.loads((tmp_path / "sam-parameters.yaml").read_text()) == {"DatabaseUrl": url}
    assert json.loads((tmp_path / "sam-environment.json").read_text()) == {"Parameters": {"DATABASE_URL": url}}


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql+asyncpg://ada:secret@db.example:5432/app", "postgresql+asyncpg://ada@db.example:5432/app"),
        ("postgresql+asyncpg://ada:a:b%40c@db.example/app", "postgresql+asyncpg://ada@db.example/app"),
        ("postgresql+asyncpg://db.example/app", "postgresql+asyncpg://db.example/app"),
    ],
)
def test_shown_address_has_no_password(url: str, shown: str) -> None:
    """What `make up` and `make status` print contains the user's name and no password."""
    assert without_password(url) == shown
