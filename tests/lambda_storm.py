"""A storm over Lambda in the local cloud: invocations, many at a time, while processes are killed and code is updated.

Every invocation gets the right response, or AWS's for a killed process; and in the end nothing is left.
"""

import io
import json
import sys
import textwrap
import threading
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import psutil
from botocore.config import Config

__all__ = ["Held", "Outcome", "Weather", "archive", "held_at_rest", "raise_storm"]

AT_A_TIME = 16
THREADS_OF_AN_UPDATE = 2
"""Most that one adds to LocalStack's pool for updates, whose threads stay; it has 64 at most."""

SETTLED_WITHIN_S = 60

SOURCE = """
    import os, time
    def handler(event, context):
        time.sleep(0.02)
        return [event, {version}, os.getpid()]
"""


def archive(source: str) -> bytes:
    """A zip archive with one module, `app`."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr("app.py", textwrap.dedent(source))
    return content.getvalue()


@dataclass(frozen=True, kw_only=True)
class Weather:
    """How bad it gets."""

    invocations: int
    kills: int
    updates: int


BREEZE = Weather(invocations=40, kills=1, updates=1)


@dataclass(frozen=True, kw_only=True)
class Held:
    """How many of each LocalStack holds at one time."""

    processes: int
    threads: int
    descriptors: int
    folders: int

    @classmethod
    def by(cls, localstack: psutil.Process) -> "Held":
        """As it is now; folders are those of environments and of code."""
        scratch = Path(localstack.environ()["DECANT_SCRATCH"])
        return cls(
            processes=len(localstack.children(recursive=True)),
            threads=localstack.num_threads(),
            descriptors=localstack.num_fds(),
            folders=len([*scratch.glob("*"), *scratch.glob("code/*")]),
        )

    def after(self, weather: Weather) -> "Held":
        """The most that may be held once a storm is over."""
        return replace(self, threads=self.threads + THREADS_OF_AN_UPDATE * weather.updates)

    def is_within(self, most: "Held") -> bool:
        """Whether this is no more of anything."""
        return all(here <= there for here, there in zip(astuple(self), astuple(most), strict=True))

    def settled(self, localstack: psutil.Process) -> "Held":
        """What is held a while later, as soon as it is within this."""
        deadline = time.monotonic() + SETTLED_WITHIN_S
        while not (held := Held.by(localstack)).is_within(self) and time.monotonic() < deadline:
            time.sleep(0.1)
        return held


@dataclass
class Outcome:
    """What came of a storm.

    Attributes:
        wrong: What no user of AWS would have been answered.
        killed: How many invocations were answered that their process was killed.
        kills: How many processes were.
        versions: Versions of the code that have answered.
        pids: Processes that have answered, the last one last.
        last: What the function answers afterwards.
    """

    wrong: list[Any] = field(default_factory=list)
    killed: int = 0
    kills: int = 0
    versions: set[int] = field(default_factory=set)
    pids: list[int] = field(default_factory=list)
    last: Any = None

    def take(self, number: int, answer: Any) -> None:
        """Look at one answer."""
        payload = json.loads(answer["Payload"].read())
        request_id = answer["ResponseMetadata"]["RequestId"]
        killed = f"RequestId: {request_id} Error: Runtime exited with error: signal: killed"
        match payload:
            case [int(echo), int(version), int(pid)] if echo == number and "FunctionError" not in answer:
                self.versions.add(version)
                self.pids.append(pid)
            case {"errorType": "Runtime.ExitError", "errorMessage": message} if message == killed:
                self.killed += 1
            case _:
                self.wrong.append(payload)


def held_at_rest(localstack: psutil.Process, url: str) -> Held:
    """What LocalStack holds once it has seen a breeze: what it loads and keeps then, no storm leaves behind."""
    before = Held.by(localstack)
    raise_storm(url, BREEZE)
    return replace(before, threads=sys.maxsize, descriptors=sys.maxsize).settled(localstack)


def raise_storm(url: str, weather: Weather) -> Outcome:
    """Invoke a function of its own while it is killed and updated.

    Args:
        url: Where the local cloud's AWS APIs answer.
        weather: How bad it gets.
    """
    outcome = Outcome()
    with _lambda_client(url) as client, _function(client) as name:
        done = threading.Semaphore(0)

        def invoke(number: int) -> None:
            try:
                outcome.take(number, client.invoke(FunctionName=name, Payload=json.dumps(number).encode()))
            except Exception as error:  # noqa: BLE001  # any error is a wrong response
                outcome.wrong.append(error)
            done.release()

        with ThreadPoolExecutor(AT_A_TIME + 2) as pool:
            running = [pool.submit(_kill, weather, outcome, done), pool.submit(_update, weather, client, name)]
            running += [pool.submit(invoke, number) for number in range(weather.invocations)]
            for each in running:
                each.result()
        outcome.last = json.loads(client.invoke(FunctionName=name, Payload=b"-1")["Payload"].read())[:2]
    return outcome


@contextmanager
def _lambda_client(url: str) -> Iterator[Any]:
    """A client that tries nothing again, with a connection for each that invokes."""
    config = Config(retries={"total_max_attempts": 1}, max_pool_connections=AT_A_TIME + 2)
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    client = boto3.client("lambda", endpoint_url=url, region_name="us-east-1", config=config, **keys)
    yield client
    client.close()


@contextmanager
def _function(client: Any) -> Iterator[str]:
    name = f"storm-{uuid4()}"
    client.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Handler="app.handler",
        Role="arn:aws:iam::000000000000:role/test",
        Code={"ZipFile": archive(SOURCE.format(version=0))},
        Timeout=30,
    )
    _wait_until_updated(client, name)
    yield name
    client.delete_function(FunctionName=name)


def _kill(weather: Weather, outcome: Outcome, done: threading.Semaphore) -> None:
    """Kill, again and again, the process that has responded last, busy or idle."""
    answers_between = weather.invocations // (weather.kills + 1)
    for answered in range(1, weather.invocations + 1):
        done.acquire()
        if outcome.kills < min(answered // answers_between, weather.kills):
            outcome.kills += _kill_process(outcome.pids[-1])


def _kill_process(pid: int) -> bool:
    """Whether it was still there, and an environment's, and is no more."""
    with suppress(psutil.NoSuchProcess):
        victim = psutil.Process(pid)
        if "awslambdaric" in victim.cmdline():
            victim.kill()
            return True
    return False


def _update(weather: Weather, client: Any, name: str) -> None:
    for version in range(1, weather.updates + 1):
        client.update_function_code(FunctionName=name, ZipFile=archive(SOURCE.format(version=version)))
        _wait_until_updated(client, name)


def _wait_until_updated(client: Any, name: str) -> None:
    while True:
        state = client.get_function_configuration(FunctionName=name)
        if state["State"] == "Active" and state.get("LastUpdateStatus") != "InProgress":
            return
        time.sleep(0.02)
