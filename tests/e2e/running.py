"""What an end-to-end test can do with the local cloud that runs for the session."""

import io
import json
import textwrap
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import localstack_client.session

from decant_cloud.local.cloud import LocalCloud
from decant_cloud.local.engine_server import EngineServer
from tests.upstream import Upstream

__all__ = ["QUICKLY", "Create", "LogLine", "RunningCloud", "archive"]

type Create = Callable[..., str]
"""Creates a function from its source and returns its name."""

QUICKLY = {"Delay": 0.1, "MaxAttempts": 1200}
"""WaiterConfig of boto3's waiters: ten looks a second, for two minutes."""

CLOSED_PORT = "http://127.0.0.1:1"
"""Where nothing listens: connections are refused at once."""


@dataclass(frozen=True, kw_only=True)
class LogLine:
    """One line of a function's log.

    Attributes:
        request: AWS request id of the invocation.
        text: The line; our own are JSON, `fields` reads them.
    """

    request: str
    text: str

    @property
    def fields(self) -> dict[str, Any]:
        """Fields of a JSON line; empty for Lambda's own and for plain prints."""
        return json.loads(self.text) if self.text.startswith("{") else {}


class RunningCloud:
    """The local cloud of this test session; functions are named by their logical ids, as in `template.yaml`.

    Attributes:
        api_url: Address of the API, without a slash at the end: `f"{api_url}/async"`.
        url: Where every AWS API answers.
        folder: The engine's own, with the functions' log.
        upstream: What FETCH_DATA_URL names: `f"{upstream.url}/1"`.
        postgres_url: SQLAlchemy address of the database.
    """

    def __init__(self, cloud: LocalCloud, upstream: Upstream) -> None:
        self._cloud = cloud
        self.upstream = upstream
        self.url = cloud.emulator.url
        self.folder = cloud.emulator.journal.parent
        self.api_url = cloud.deployment.api_url
        self.postgres_url = cloud.database.url()
        self.outputs = cloud.deployment.outputs

    @property
    def engine_pid(self) -> int:
        """Of the engine's process."""
        assert isinstance(self._cloud.emulator, EngineServer)
        return self._cloud.emulator.pid

    def session(self) -> localstack_client.session.Session:
        """A `localstack-client` session, which makes boto3 clients of this cloud."""
        return localstack_client.session.Session(localstack_host=self.url.removeprefix("http://"))

    def client(self, service: str) -> Any:
        """A boto3 client of one service."""
        return self.session().client(service)

    def function_name(self, function: str) -> str:
        """A function's name at AWS."""
        return self._cloud.deployment.functions[function]

    def invoke(self, function: str, event: Any) -> Any:
        """Invoke a function and wait for its answer; boto3's answer with `Payload` parsed."""
        answer = self.client("lambda").invoke(
            FunctionName=self.function_name(function), Payload=json.dumps(event).encode()
        )
        return {**answer, "Payload": json.loads(answer["Payload"].read())}

    def logs(self, function: str) -> list[LogLine]:
        """Every line of a function's log since the session began, oldest first."""
        return self.logs_of(self.function_name(function))

    def logs_of(self, name: str) -> list[LogLine]:
        """The same for any function, by its name at AWS."""
        entries = map(json.loads, self._cloud.emulator.journal.read_text().splitlines())
        return [LogLine(request=each["request"], text=each["line"]) for each in entries if each["function"] == name]

    def stop_postgres(self) -> None:
        """Stop the database; every connection to it breaks."""
        self._cloud.database.stop()

    def start_postgres(self) -> None:
        """Start the database again, on the same port and with the same data."""
        self._cloud.database.start()

    def restart_postgres(self) -> None:
        """Stop and start the database; every connection to it breaks."""
        self.stop_postgres()
        self.start_postgres()

    @contextmanager
    def environment_of(self, function: str, **variables: str) -> Iterator[None]:
        """Run a function with other environment variables for a while, in new execution environments."""
        client, name = self.client("lambda"), self.function_name(function)
        before = client.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
        self._set_environment(client, name, {**before, **variables})
        try:
            yield
        finally:
            self._set_environment(client, name, before)

    @contextmanager
    def sqs_unreachable(self, function: str = "StartTask") -> Iterator[None]:
        """Let a function find every AWS API unreachable for a while: its connections are refused."""
        with self.environment_of(function, AWS_ENDPOINT_URL=CLOSED_PORT):
            yield

    @staticmethod
    def _set_environment(client: Any, name: str, variables: dict[str, str]) -> None:
        client.update_function_configuration(FunctionName=name, Environment={"Variables": variables})
        while client.get_function_configuration(FunctionName=name)["LastUpdateStatus"] == "InProgress":
            time.sleep(0.02)


def archive(source: str) -> bytes:
    """A zip archive with one module, `app`."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr("app.py", textwrap.dedent(source))
    return content.getvalue()
