"""The engines of the local cloud: the places of the repository that name them agree."""

import pytest

from decant_cloud.emulator_patches.engine import ENGINES, Engine
from decant_cloud.local.engine_server import chosen
from decant_cloud.local.errors import LocalCloudError
from tests.loading import ROOT

PACKAGE = ROOT / "infra/decant_cloud"


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_engine_is_pinned_to_the_version_of_the_patches(engine: Engine) -> None:
    """The lock file installs the version whose names the patches use."""
    lines = (PACKAGE / "local" / engine.requirements).read_text().splitlines()

    assert f"{engine.distribution}=={engine.version} \\" in lines


def test_engine_is_chosen_by_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default is LocalStack; an unknown name is an error that lists the engines."""
    titles = {}
    for name in ("", "localstack", "localemu"):
        monkeypatch.setenv("ENGINE", name)
        titles[name] = chosen().title
    monkeypatch.setenv("ENGINE", "ministack")

    assert titles == {"": "LocalStack", "localstack": "LocalStack", "localemu": "LocalEmu"}
    with pytest.raises(LocalCloudError, match=r"^ENGINE is 'ministack'; it has to be localstack or localemu\.$"):
        chosen()
