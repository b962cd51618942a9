"""The dates of files in a layer, from which Flask computes the entity tags of static files."""

from pathlib import Path

from flask import Flask

from decant_cloud.layer.build import settle


def entity_tag(folder: Path, content: str) -> str | None:
    """Entity tag of a static file in a layer that is built with this content."""
    path = folder / "static/site.css"
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    settle(folder)
    with Flask("shop", root_path=str(folder)).test_client().get("/static/site.css") as response:
        return response.headers["ETag"]


def test_changed_file_of_the_same_size_has_another_entity_tag(tmp_path: Path) -> None:
    """Clients fetch the changed file."""
    assert entity_tag(tmp_path, "a {color: red}") != entity_tag(tmp_path, "a {color: tan}")


def test_unchanged_file_keeps_its_entity_tag(tmp_path: Path) -> None:
    """Clients use the file that they have after another deployment."""
    assert entity_tag(tmp_path, "a {}") == entity_tag(tmp_path, "a {}")
