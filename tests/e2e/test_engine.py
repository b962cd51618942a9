"""The engine that ENGINE names, and the patches."""

import json
import subprocess

import pytest

from decant_cloud.local.engine_server import chosen
from tests.loading import ROOT

CHECK = """
import json, sys
from decant_cloud.emulator_patches import engine, start
fitting = start.problems()
engine.find("services.lambda_.invocation", "Absent")
object.__setattr__(engine.engine, "version", "0")
print(json.dumps([fitting, start.problems()]))
"""


@pytest.mark.long
def test_every_name_that_the_patches_use_is_in_the_engine() -> None:
    """The check before the start finds nothing; for another version, the error names what is missing and the remedy."""
    engine = chosen()
    packages = ROOT / "infra"
    done = subprocess.run(
        [ROOT / f".decant/{engine.package}/bin/python", "-c", CHECK],
        env={
            "DECANT_ENGINE": engine.package,
            "PYTHONPATH": f"{packages}:{packages}/decant_cloud/emulator_patches/registration",
        },
        capture_output=True,
        text=True,
        check=True,
    )

    fitting, other = json.loads(done.stdout.splitlines()[-1])

    assert fitting == []
    assert other[0] == f"{engine.title} is installed in version {engine.version}; the patches are for 0."
    assert f"has no {engine.package}.services.lambda_.invocation:Absent (module " in other[1]
    assert other[2].startswith(f"Run `make install ENGINE={engine.package}`, or change ")
