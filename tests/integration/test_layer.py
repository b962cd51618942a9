"""The layers that the local cloud mounts."""

import shutil
from pathlib import Path

import pytest

from decant_cloud.local import layer
from decant_cloud.local.layer import LayerError, build_local
from tests.loading import ROOT


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shared layer, built once for this module with the others beside it."""
    return build_local(tmp_path_factory.mktemp("layers"))["SharedLayer"]


def test_layer_holds_packages_with_their_bytecode(built: Path) -> None:
    """What a function imports is there, compiled."""
    assert (built / "python/flask/app.py").is_file()
    assert list((built / "python/flask/__pycache__").glob("app.*.pyc"))


def test_layer_links_our_own_packages(built: Path) -> None:
    """An edit in `shared/` is an edit of the layer."""
    assert (built / "python/decant").resolve() == ROOT / "shared/decant"
    assert (built / "python/domain").resolve() == ROOT / "shared/domain"


def test_layer_of_functions_that_check_tokens_holds_just_what_they_need(built: Path) -> None:
    """It stands beside the shared one, and repeats nothing of it."""
    auth, shared = (
        {each.name.partition("-")[0] for each in layer.glob("python/*.dist-info")}
        for layer in (built.parent / "AuthLayer", built)
    )

    assert "pyjwt" in auth
    assert auth.isdisjoint(shared)


def test_layer_up_to_date_is_left_alone(built: Path) -> None:
    """A second build changes nothing."""
    before = (built / "python/flask").stat().st_ino

    build_local(built.parent)

    assert (built / "python/flask").stat().st_ino == before


def test_layer_that_cannot_be_built_leaves_the_old_one(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing package is an error, and the previous build stays."""
    shutil.copy(layer.SHARED / "layers.toml", tmp_path)
    (tmp_path / "requirements.txt").write_text("no-such-package==1.0 --hash=sha256:" + "0" * 64)
    monkeypatch.setattr(layer, "SHARED", tmp_path)

    with pytest.raises(LayerError, match="no-such-package"):
        build_local(built.parent)

    assert (built / "python/flask/app.py").is_file()
