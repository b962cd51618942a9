"""Commands for runs of workflows: `python -m decant workflows show ID`."""

import argparse
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from decant import loop
from decant.errors import DecantError
from decant.tasks.registry import load_modules
from decant.workflows.check import Sample, check, sample
from decant.workflows.runs import WorkflowRun
from decant.workflows.store import steps

__all__ = ["main"]


def main(arguments: Sequence[str]) -> int:
    """Run a command; returns the exit status."""
    given = vars(_parser().parse_args(arguments))
    command: Callable[..., Awaitable[int]] = given.pop("command")
    load_modules()
    try:
        return loop.run(command(**given))  # type: ignore[arg-type]  # it is a coroutine function
    except (DecantError, TypeError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201  # output of a command
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m decant workflows", description="Show and change runs of workflows."
    )
    commands = parser.add_subparsers(required=True)

    def add(name: str, command: Callable[..., Awaitable[int]], about: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=about, description=about)
        added.set_defaults(command=command)
        return added

    listed = add("list", _list, "List open runs that have recorded steps, newest first.")
    sampled = add("sample", _sample, "Print open runs with their recorded steps as JSON, for `check --sample`.")
    for command in (listed, sampled):
        command.add_argument("--name", help="only runs of this workflow")
        command.add_argument("--count", type=_count, default=100, help="maximum number of runs (100)")
    add("show", _show, "Show the state and the recorded steps of a run.").add_argument("id")
    signal = add("signal", _signal, "Send a signal to a run.")
    signal.add_argument("id")
    signal.add_argument("topic")
    signal.add_argument("payload", nargs="?", type=_json(Any), help="JSON; null when left out")
    signal.add_argument("--key", help="a second signal with this key is left out")
    fork = add("fork", _fork, "Start a new run with the results of a run, and print its id.")
    rewind = add("rewind", _rewind, "Run a failed run again from a step on.")
    for command in (fork, rewind):
        command.add_argument("id")
        command.add_argument("--before", metavar="STEP", help="keep only the results of steps before this step")
    fork.add_argument("--args", type=_json(dict[str, Any]), help="arguments to replace, a JSON object")
    checked = add("check", _check, "Check the imported workflows against the recorded steps of open runs.")
    checked.add_argument(
        "--sample", dest="runs", type=_read, metavar="FILE", help="runs that `sample` has printed; else the database's"
    )
    return parser


async def _list(name: str | None, count: int) -> int:
    for run in await steps().open_runs(name, count):
        waits = "waits for a signal" if run.suspended else f"due {run.eta:%Y-%m-%d %H:%M:%S}"
        _print(f"{run.id} {run.name} {run.state} {run.step_count} steps, {waits}", *([run.error] if run.error else []))
    return 0


async def _show(id: str) -> int:  # noqa: A002  # the argument of the command
    run = WorkflowRun(id)
    status = await run.status()
    _print(f"{status.name} {status.state}", *([] if status.failure is None else [status.failure.message]))
    for step in await run.steps():
        number = f"#{step.n}" if step.n else ""
        result = step.error or msgspec.json.encode(step.result).decode()
        _print(f"{step.date_done:%Y-%m-%d %H:%M:%S} {step.kind:6} {step.name}{number}: {result}")
    return 0


async def _signal(id: str, topic: str, payload: Any, key: str | None) -> int:  # noqa: A002  # the argument
    await WorkflowRun(id).send(topic, payload, id=key)
    return 0


async def _fork(id: str, before: str | None, args: dict[str, Any] | None) -> int:  # noqa: A002  # the argument
    _print((await WorkflowRun(id).fork(before=before, args=args)).id)
    return 0


async def _rewind(id: str, before: str | None) -> int:  # noqa: A002  # the argument
    await WorkflowRun(id).rewind(before=before)
    return 0


async def _sample(name: str | None, count: int) -> int:
    _print(msgspec.json.encode(await sample(name, count)).decode())
    return 0


async def _check(runs: list[Sample] | None) -> int:
    runs = await sample() if runs is None else runs
    violations = await check(runs)
    for violation in violations:
        _print(f"{violation.name} {violation.id}: {violation.reason}")
    _print(f"{len(runs)} runs, {len(violations)} do not match")
    return 1 if violations else 0


def _json[T](kind: type[T]) -> Callable[[str | bytes], T]:
    """Parser of an argument that is JSON."""

    def parse(given: str | bytes) -> T:
        try:
            return msgspec.json.decode(given, type=kind)
        except msgspec.DecodeError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return parse


def _read(path: str) -> list[Sample]:
    try:
        return _json(list[Sample])(Path(path).read_bytes())
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{path}: {error.strerror}") from error


def _count(given: str) -> int:
    count = int(given)
    if count < 1:
        raise argparse.ArgumentTypeError(f"{given} is less than 1")
    return count


def _print(*lines: str) -> None:
    for line in lines:
        print(line)  # noqa: T201  # output of a command
