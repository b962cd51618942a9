"""Flask's documentation page on Celery: the recipe `FlaskTask`, a factory, and views that start and read tasks.

Source: https://flask.palletsprojects.com/en/stable/patterns/celery/.
"""

from typing import Any

import pytest
from flask import Flask, current_app, request

from decant import loop
from decant.celery import Celery, Task, shared_task
from decant.celery.result import AsyncResult
from decant.worker.execution import Deadline
from decant.worker.runner import Runner

pytestmark = pytest.mark.usefixtures("database_url", "new_celery_apps")


def celery_init_app(app: Flask) -> Celery:
    """The recipe, as it is documented."""

    class FlaskTask(Task):
        def __call__(self, *args: object, **kwargs: object) -> object:
            with app.app_context():
                return self.run(*args, **kwargs)

    celery_app = Celery(app.name, task_cls=FlaskTask)
    celery_app.config_from_object(app.config["CELERY"])
    celery_app.set_default()
    app.extensions["celery"] = celery_app
    return celery_app


def create_app() -> Flask:
    """The factory and the views, as they are documented."""
    app = Flask(__name__)
    app.config.from_mapping(
        GREETING="hello",
        CELERY={
            "broker_url": "redis://localhost",
            "result_backend": "redis://localhost",
            "task_ignore_result": True,
        },
    )
    celery_app = celery_init_app(app)

    @shared_task(ignore_result=False)  # type: ignore[untyped-decorator]  # as in Celery
    def add_together(a: int, b: int) -> int:
        return a + b

    @celery_app.task(ignore_result=False)  # type: ignore[untyped-decorator]  # as in Celery
    def greet(name: str) -> str:
        return f"{current_app.config['GREETING']} {name}"

    @app.post("/add")
    def start_add() -> dict[str, object]:
        result = add_together.delay(request.form.get("a", type=int), request.form.get("b", type=int))
        return {"result_id": result.id}

    @app.post("/greet")
    def start_greet() -> dict[str, object]:
        return {"result_id": greet.delay("Ada").id}

    @app.get("/result/<id>")
    def task_result(id: str) -> dict[str, object]:  # noqa: A002  # as documented
        result = AsyncResult(id)
        return {
            "ready": result.ready(),
            "successful": result.successful(),
            "value": result.result if result.ready() else None,
        }

    return app


async def run_due() -> None:
    """Run the due tasks."""
    async with Runner(Deadline(60), 60) as runner:
        await runner.run_due(10)


@pytest.mark.parametrize(
    ("path", "form", "value"),
    [
        pytest.param("/add", {"a": "1", "b": "2"}, 3, id="shared task"),
        pytest.param("/greet", {}, "hello Ada", id="task with an application context"),
    ],
)
def test_documented_views_start_and_read_tasks(path: str, form: dict[str, Any], value: object) -> None:
    """A view starts a task, and another reads its result."""
    client = create_app().test_client()

    result_id = client.post(path, data=form).get_json()["result_id"]
    before = client.get(f"/result/{result_id}").get_json()
    loop.run(run_due())

    assert before == {"ready": False, "successful": False, "value": None}
    assert client.get(f"/result/{result_id}").get_json() == {"ready": True, "successful": True, "value": value}
