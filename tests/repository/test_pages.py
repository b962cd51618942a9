"""The README and the pages in `docs/`."""

import re

from decant_cloud.checks import settings_table
from tests.loading import ROOT


def test_readme_documents_every_setting() -> None:
    """The table in the README is what `make docs` writes."""
    assert settings_table.in_readme() == settings_table.table()


def test_pages_name_tests_that_exist() -> None:
    """A test that a page names, `unit/test_config.py::test_…` or `test_…`, is in that file or in any file."""
    pages = "\n".join(page.read_text() for page in ROOT.glob("docs/*.md"))
    sources = {
        path.relative_to(ROOT / "tests").as_posix(): path.read_text() for path in ROOT.glob("tests/**/test_*.py")
    }
    named = re.findall(r"`(?:tests/)?([\w/]+/test_\w+\.py)::(test_\w+)`", pages)
    named += [("", name) for name in re.findall(r"`(test_\w+)`", pages)]

    missing = [
        (file, name)
        for file, name in named
        if not any(f"def {name}(" in source for path, source in sources.items() if file in {"", path})
    ]

    assert named
    assert missing == []
