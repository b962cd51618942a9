"""`decant celery check` reports with file and line what differs and what must change."""

from pathlib import Path

import pytest

from decant_cloud.cli import run

CODE = """from celery import Celery, shared_task
from celery.schedules import crontab, solar
from celery.canvas import StampingVisitor
from kombu import Queue

app = Celery("shop", broker="redis://localhost", amqp="own")
app.conf.update(worker_pool="gevent", task_serializer="pickle", task_acks_late=True)
app.conf.result_expires = 60

@app.task(rate_limit="1/s", soft_time_limit=5)
def mail(): ...

@shared_task(serializer="pickle", pydantic=True)
def pickled(): ...

@web.route("/")
def view():
    mail()
    return str(mail.delay().get())

async def waits():
    mail.delay().get()

app.control.broadcast("x")
mail.delay().then(print)
"""


def check(folder: Path, *options: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    """Exit status and lines, without the folder."""
    status = run(["celery", "check", str(folder), *options])
    return status, capsys.readouterr().out.replace(f"{folder}/", "").splitlines()


def test_check_reports_every_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each finding has the file, the line and what to do; the status is 1."""
    (tmp_path / "shop.py").write_text(CODE)

    status, lines = check(tmp_path, capsys=capsys)

    assert status == 1
    found = [line.split(": ", 2)[:2] for line in lines[:-1]]
    assert found == [
        ["shop.py:1", "must change (--fix does)"],
        ["shop.py:2", "must change (--fix does)"],
        ["shop.py:3", "must change (--fix does)"],
        ["shop.py:3", "must change"],
        ["shop.py:4", "must change"],
        ["shop.py:6", "must change"],
        ["shop.py:7", "differs"],
        ["shop.py:7", "must change"],
        ["shop.py:7", "must change"],
        ["shop.py:8", "differs"],
        ["shop.py:10", "differs"],
        ["shop.py:10", "differs"],
        ["shop.py:13", "must change"],
        ["shop.py:13", "must change"],
        ["shop.py:18", "differs"],
        ["shop.py:22", "must change"],
        ["shop.py:24", "must change"],
        ["shop.py:25", "must change"],
    ]
    assert lines[-1] == "tasks: 2, lines that differ in effect: 5, lines that must change: 13"


def test_fix_changes_the_imports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--fix` rewrites imports, after which nothing is left to change in code that runs."""
    file = tmp_path / "tasks.py"
    file.write_text("import celery\nfrom celery import Celery\nfrom celery.schedules import crontab\napp = Celery()\n")

    status, lines = check(tmp_path, "--fix", capsys=capsys)

    assert status == 0
    assert lines[-1] == "tasks: 0, lines that differ in effect: 0, lines that must change: 0"
    assert file.read_text() == (
        "import decant.celery as celery\nfrom decant.celery import Celery\n"
        "from decant.celery.schedules import crontab\napp = Celery()\n"
    )


def test_task_in_a_function_must_move(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Tasks in a function's `app.py` are reported."""
    folder = tmp_path / "functions" / "start"
    folder.mkdir(parents=True)
    (folder / "app.py").write_text("from decant.celery import shared_task\n@shared_task\ndef work(): ...\n")

    status, lines = check(tmp_path, capsys=capsys)

    assert status == 1
    assert "move them to a module in shared/" in lines[0]


def test_code_without_celery_is_not_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Other code has no findings."""
    (tmp_path / "other.py").write_text("class A:\n    def then(self): self.then(1)\n")

    status, lines = check(tmp_path, capsys=capsys)

    assert (status, lines) == (0, ["tasks: 0, lines that differ in effect: 0, lines that must change: 0"])


def test_path_that_does_not_exist(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The error names the path."""
    status = run(["celery", "check", str(tmp_path / "nowhere")])

    assert status == 1
    assert "there is no file or folder" in capsys.readouterr().err
