"""`python -m decant worker`: queues, concurrency, warm and cold shutdown, signals, schedules."""

import signal
import time
from pathlib import Path

import pytest

from decant import loop
from decant.celery import signals
from decant.worker import lambda_handler
from tests.celery_worker import python, worker
from tests.loading import Context
from tests.worlds import execute

TASKS = """
import time
from pathlib import Path
from decant.celery import Celery, signals
app = Celery("jobs")
app.conf.imports = ["more"]
app.conf.beat_schedule = {
    "often": {"task": "jobs.note", "schedule": 1.0, "args": ("beat",)},
    "imported": {"task": "more.write", "schedule": 1.0, "args": ("imported",)},
}

@app.task
def note(name):
    Path(name).write_text("noted")

@app.task
def wait(name):
    Path(name + ".started").write_text("")
    while not Path(name).exists():
        time.sleep(0.02)
    Path(name + ".ended").write_text("")
    return "ended"

@signals.worker_ready.connect
def ready(**named):
    Path("ready").write_text("")

@signals.after_setup_logger.connect
def set_up(logger, **named):
    Path("logging").write_text(logger.name)

@signals.worker_shutdown.connect
def shutdown(**named):
    Path("shutdown").write_text("")
"""

MORE = """
from pathlib import Path
from decant.celery import shared_task

@shared_task
def write(name):
    Path(name).write_text("written")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the module of tasks."""
    (tmp_path / "jobs.py").write_text(TASKS)
    (tmp_path / "more.py").write_text(MORE)
    return tmp_path


def wait_until_exists(path: Path) -> None:
    """Wait for a file."""
    end = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < end, f"{path.name} was not written"
        time.sleep(0.02)


def start(folder: Path, database_url: str, call: str) -> str:
    """Call a task in a process of its own; returns its id."""
    return (
        python(folder, "-c", f"import jobs; print(jobs.{call}.id)", DATABASE_URL=database_url).strip().split("\n")[-1]
    )


def states() -> list[str]:
    """States of the tasks `wait`."""
    rows = loop.run(execute("SELECT state FROM decant.task WHERE name = 'jobs.wait' ORDER BY id"))
    return [row["state"] for row in rows]


def test_warm_shutdown_waits_for_runs(folder: Path, database_url: str) -> None:
    """SIGTERM lets the running task end, and starts no other task."""
    with worker(folder, "-A", "jobs", "-c", "1", DATABASE_URL=database_url) as process:
        start(folder, database_url, "wait.delay('first')")
        wait_until_exists(folder / "first.started")
        process.send_signal(signal.SIGTERM)
        while "Warm shutdown" not in (folder / "worker.log").read_text():
            time.sleep(0.02)
        start(folder, database_url, "wait.delay('second')")
        (folder / "first").write_text("")
        status = process.wait(60)

    assert status == 0
    assert (folder / "first.ended").exists()
    assert (folder / "ready").exists()
    assert (folder / "shutdown").exists()
    assert states() == ["SUCCESS", "PENDING"]


@pytest.mark.long
def test_second_interrupt_is_a_cold_shutdown(folder: Path, database_url: str) -> None:
    """The first SIGINT waits for the running task, and the second releases it."""
    with worker(folder, "-A", "jobs", DATABASE_URL=database_url) as process:
        start(folder, database_url, "wait.delay('never')")
        wait_until_exists(folder / "never.started")
        process.send_signal(signal.SIGINT)
        while "Warm shutdown" not in (folder / "worker.log").read_text():
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        process.wait(60)

    assert not (folder / "never.ended").exists()
    assert states() == ["PENDING"]


@pytest.mark.long
def test_worker_serves_its_queues_alone(folder: Path, database_url: str) -> None:
    """`-Q` selects the queues; tasks on others wait."""
    start(folder, database_url, "wait.apply_async(('other',), queue='other')")

    with worker(folder, "-A", "jobs", "-Q", "mail,celery", "--loglevel", "info", DATABASE_URL=database_url):
        start(folder, database_url, "note.apply_async(('mailed',), queue='mail')")
        start(folder, database_url, "note.apply_async(('default',), queue='celery')")
        wait_until_exists(folder / "mailed")
        wait_until_exists(folder / "default")

    assert states() == ["PENDING"]


def test_schedule_of_the_settings_is_run(folder: Path, database_url: str) -> None:
    """Entries of `beat_schedule` become tasks, with their arguments; the worker imports the modules of `imports`."""
    with worker(folder, "-A", "jobs", DATABASE_URL=database_url):
        wait_until_exists(folder / "beat")
        wait_until_exists(folder / "imported")

    assert (folder / "logging").read_text() == "root"


@pytest.mark.usefixtures("database_url")
def test_signals_of_a_worker_in_lambda() -> None:
    """The function of a queue sends the signals of a worker at its first event."""
    sent: list[str] = []
    receivers = [lambda signal, **_: sent.append(signal.name) for _ in range(2)]
    signals.worker_process_init.connect(receivers[0])
    signals.worker_ready.connect(receivers[1])
    handler = lambda_handler()

    handler({"Records": []}, Context())
    handler({"Records": []}, Context())
    signals.worker_process_init.disconnect(receivers[0])
    signals.worker_ready.disconnect(receivers[1])

    assert sent == ["worker_process_init", "worker_ready"]


def test_worker_reports_a_module_that_does_not_exist(folder: Path, database_url: str) -> None:
    """The command ends with status 2 and names what cannot be imported."""
    with (
        pytest.raises(AssertionError, match="No module named 'nowhere'"),
        worker(folder, "-A", "nowhere", DATABASE_URL=database_url),
    ):
        pass
