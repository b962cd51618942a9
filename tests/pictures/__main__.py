"""Draw the pictures: the architecture from the template, the benchmarks from their JSON; and record `make up`."""

import argparse
import shutil

from decant_cloud.template.model import Template
from tests.benchmarks import results
from tests.loading import ROOT
from tests.pictures import architecture, console, plots, recording

FOLDER = ROOT / "docs/pictures"


def main() -> None:
    """Draw what is asked for, or everything but the recording."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true", help="record `make up` too, for about 20 seconds")
    parser.add_argument("--console", action="store_true", help="draw the console in Chromium too")
    given = parser.parse_args()
    (FOLDER / "architecture.svg").write_text(architecture.draw(Template(ROOT)))
    for source in sorted(results.FOLDER.glob("*.json")):
        shutil.copy(source, FOLDER / f"bench-{source.name}")
    for source in sorted(FOLDER.glob("bench-*.json")):
        source.with_suffix(".svg").write_text(plots.draw(source.read_text()))
    if given.console:
        console.draw(ROOT / "docs")
    if given.record:
        (FOLDER / "make-up.svg").write_text(recording.record(["make", "up"]))


if __name__ == "__main__":
    main()
