"""Run the public projects of a folder, and print figures: `make verify-apps APPS=a-folder`.

A project with Celery tasks is imported with `decant.celery`. A Flask application that a file `NAME.toml` describes, in
that folder or in `applications/`, is poured, started, and compared with Flask's own server.
"""

import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.verify_apps import celery_projects, flask_applications

APPLICATIONS = Path(__file__).with_name("applications")
TASKS = ("tasks", "differ", "must change", "modules", "imported", "tasks registered")
RESPONSES = ("routes", "minutes to the first response", "lines by hand", "responses", "equal")


def main(folder: Path) -> int:
    """Print a line for each project in the tables of its kinds, and each problem; 1 when a response differs."""
    projects = sorted(path for path in folder.iterdir() if path.is_dir())
    celery = {project: celery_projects.verify(project) for project in projects}
    flask = {}
    for project in projects:
        files = [each / f"{project.name}.toml" for each in (folder, APPLICATIONS)]
        if file := next((each for each in files if each.is_file()), None):
            flask[project] = flask_applications.verify(project, file)
    tables = ((TASKS, celery), (RESPONSES, flask))
    for columns, rows in tables:
        table = Table("project", *columns)
        for project, (figures, _) in rows.items():
            if any(figures):
                table.add_row(project.name, *map(str, figures))
        if table.rows:
            Console(width=120).print(table)
    for _, rows in tables:
        for problem in (problem for _, problems in rows.values() for problem in problems):
            print(problem)  # noqa: T201  # output of a command
    return int(any(problems for _, problems in flask.values()))


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]).resolve()))
