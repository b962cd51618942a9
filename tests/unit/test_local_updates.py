"""What is saved while the local cloud runs takes effect."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from decant_cloud.local.errors import LocalCloudError
from decant_cloud.local.updates import MIGRATIONS, Updates


@dataclass
class Bundle:
    """A folder with a template and migrations, and what was done because of them."""

    root: Path
    done: list[str] = field(default_factory=list)
    fault: str = ""

    def save(self, path: str, text: str) -> None:
        """Save a file as an editor does."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def deploy(self) -> None:
        """Stand in for the deployment."""
        self.done.append("deployed")
        if self.fault:
            raise LocalCloudError(self.fault)

    def migrate(self) -> None:
        """Stand in for the migration."""
        self.done.append("migrated")

    @property
    def journal(self) -> Path:
        """File of the stream."""
        return self.root / "functions.jsonl"

    def lines(self) -> list[tuple[str, str]]:
        """Source and text of each line in the stream."""
        entries = map(json.loads, self.journal.read_text().splitlines())
        return [(each["function"], each["line"]) for each in entries]

    def updates(self) -> Updates:
        """What is under test."""
        return Updates(self.root, self.journal, self.deploy, self.migrate)


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    """One with a template and a migration."""
    made = Bundle(tmp_path)
    made.save("template.yaml", "1")
    made.save("functions/migrate/versions/0001.py", "1")
    made.journal.touch()
    return made


def wait_until(condition: Callable[[], object]) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_saved_template_is_deployed(bundle: Bundle) -> None:
    """Once, with one line in the stream; also when it was saved while the cloud was still starting."""
    updates = bundle.updates()
    bundle.save("template.yaml", "22")

    with updates:
        wait_until(bundle.lines)

    [(source, line)] = bundle.lines()
    assert (source, line[:12]) == ("template.yaml", "Deployed in ")
    assert bundle.done == ["deployed"]


@pytest.mark.parametrize("folder", MIGRATIONS)
def test_new_migration_is_applied(bundle: Bundle, folder: str) -> None:
    """A saved migration of the app or of the library is applied without a deployment."""
    with bundle.updates():
        bundle.save(f"{folder}/0002.py", "2")
        wait_until(lambda: bundle.done)

    assert bundle.done == ["migrated"]


def test_fault_is_told_and_mended(bundle: Bundle) -> None:
    """A template that fails is an error in the stream, and the next save, of a migration too, is another try."""
    bundle.fault = "No such type"
    with bundle.updates():
        bundle.save("template.yaml", "22")
        wait_until(bundle.lines)
        bundle.fault = ""
        bundle.save("functions/migrate/versions/0002.py", "2")
        wait_until(lambda: "migrated" in bundle.done)

    assert bundle.lines()[0] == ("template.yaml", "[ERROR] No such type")
    assert bundle.done == ["deployed", "deployed", "migrated"]
