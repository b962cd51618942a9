"""Commands for tasks, schedules and queues: `python -m decant tasks list --state FAILURE`.

They work on the database, or with `--url` on a stage through its API.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from decant import loop
from decant.console.actions import Action
from decant.console.problems import duration
from decant.console.records import TaskConditions
from decant.console.sources import Api, Database, Source
from decant.errors import DecantError
from decant.tasks.lists import Summary

__all__ = ["main"]

_CONDITIONS = ("state", "name", "queue", "error", "correlation_id", "since", "until")
_INTERRUPTED = 130
_PAGE = 200


def main(arguments: Sequence[str]) -> int:
    """Run a command; returns the exit status."""
    given = _parser().parse_args(arguments)
    token = given.token or os.environ.get("DECANT_TOKEN", "")
    key = given.api_key or os.environ.get("DECANT_API_KEY", "")
    source: Source = Api(given.url, token, key) if given.url else Database()
    try:
        status: int = loop.run(_run(source, given))
    except (DecantError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201  # output of a command
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED
    return status


async def _run(source: Source, given: argparse.Namespace) -> int:
    command: Callable[[Source, argparse.Namespace], Awaitable[int]] = given.command
    while given.watch is not None:
        if sys.stdout.isatty():
            _print("\x1b[2J\x1b[H", end="")
        await command(source, given)
        await asyncio.sleep(given.watch)
    return await command(source, given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m decant tasks", description="Show and change tasks.")
    commands = parser.add_subparsers(required=True)

    def add(name: str, command: Callable[..., Awaitable[int]], about: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=about, description=about)
        added.set_defaults(command=command, watch=None, json=False)
        added.add_argument("--url", help="address of a stage's API; by default the database of DATABASE_URL is used")
        added.add_argument("--token", help="bearer token for --url; by default that of DECANT_TOKEN")
        added.add_argument("--api-key", help="API key for --url; by default that of DECANT_API_KEY")
        added.add_argument("--json", action="store_true", help="print JSON")
        return added

    def watched(command: argparse.ArgumentParser) -> None:
        command.add_argument(
            "--watch", nargs="?", type=float, const=2.0, metavar="SECONDS", help="repeat until interrupted (2 s)"
        )

    listed = add("list", _list, "List tasks, newest first.")
    _add_conditions(listed)
    listed.add_argument("--count", type=int, default=50, help="maximum number of tasks (50)")
    watched(listed)
    shown = add("show", _show, "Show a task with its attempts, values and error.")
    shown.add_argument("id", type=UUID)
    watched(shown)
    for action, about in _ACTIONS.items():
        changed = add(action, _act, about)
        changed.add_argument("ids", nargs="*", type=UUID, help="only these tasks; else those that the conditions match")
        changed.add_argument("--yes", action="store_true", help="do not ask before tasks that match are changed")
        changed.set_defaults(action=action)
        _add_conditions(changed)
    for change in ("pause", "resume"):
        paused = add(change, _change, f"{change.capitalize()} a queue or a schedule.")
        paused.add_argument("name", help="name of the queue, or key of the schedule")
        paused.add_argument("--schedule", action="store_true", help="the name is the key of a schedule")
        paused.set_defaults(change=change)
    ran = add("run", _change, "Enqueue the task of a schedule now.")
    ran.add_argument("name", help="key of the schedule")
    ran.set_defaults(change="run", schedule=True)
    watched(add("schedules", _schedules, "List schedules with their last and next ticks."))
    watched(add("status", _status, "Show what needs attention, and the state of the queues."))
    return parser


_ACTIONS: dict[Action, str] = {
    "retry": "Run tasks now that wait for a time or for their next attempt.",
    "cancel": "Revoke unfinished tasks, and cancel those that run.",
    "redrive": "Run tasks again that failed or were revoked.",
}


def _add_conditions(command: argparse.ArgumentParser) -> None:
    command.add_argument("--state", help="PENDING, STARTED, RETRY, SUCCESS, FAILURE, REVOKED, open or dead")
    command.add_argument("--name", help="name of the task")
    command.add_argument("--queue", help="name of the queue")
    command.add_argument("--error", help="part of the error's class or message")
    command.add_argument("--correlation-id", help="correlation id of the request that enqueued it")
    command.add_argument("--since", help="created at this time or later, with its offset")
    command.add_argument("--until", help="created before this time, with its offset")


def _conditions(given: argparse.Namespace) -> TaskConditions:
    values = {name: getattr(given, name) for name in _CONDITIONS if getattr(given, name) is not None}
    return msgspec.convert(values, TaskConditions)


async def _list(source: Source, given: argparse.Namespace) -> int:
    conditions, found, before = _conditions(given), list[Summary](), None
    while len(found) < given.count:
        page = await source.tasks(conditions, before, min(_PAGE, given.count - len(found)))
        found, before = found + page.tasks, page.before
        if before is None:
            break
    if given.json:
        return _json(found)
    rows = [
        (str(task.id), task.state.value, task.queue, task.name, _time(task.date_created), task.error_type or "")
        for task in found
    ]
    return _table(("id", "state", "queue", "name", "created", "error"), rows)


async def _show(source: Source, given: argparse.Namespace) -> int:
    task = await source.task(given.id)
    if given.json:
        return _json(task)
    _print(f"{task.name} {task.state.value} on queue {task.queue}")
    _print(f"created {_time(task.date_created)}, due {_time(task.eta)}, attempt {task.attempt}")
    for attempt in task.attempts:
        _print(f"attempt {attempt.attempt} {_time(attempt.date_done)} {attempt.error_type}: {attempt.error}")
    if task.date_started is not None:
        _print(f"started {_time(task.date_started)}, done {_time(task.date_done)}")
    _print(f"args {task.args.text}", f"kwargs {task.kwargs.text}")
    for title, value in (("progress", task.progress), ("result", task.result)):
        if value is not None:
            _print(f"{title} {value.text}")
    for step in task.steps:
        _print(f"{_time(step.date_done)} {step.kind:6} {step.name}: {step.error or (step.result and step.result.text)}")
    if task.error_type is not None:
        _print("", f"{task.error_type}: {task.error}", task.traceback or "")
    return 0


async def _act(source: Source, given: argparse.Namespace) -> int:
    target: list[UUID] | TaskConditions = given.ids or _conditions(given)
    if target == TaskConditions():
        raise ValueError("name tasks by their ids or by at least one condition, such as --name")
    if isinstance(target, TaskConditions) and not given.yes:
        total = await _count(source, target)
        print(f"{total} tasks match. Change them? [y/N] ", end="", file=sys.stderr, flush=True)  # noqa: T201
        if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
            return 1
    changed, before = 0, None
    while True:
        result = await source.act(given.action, target, before)
        changed, before = changed + result.changed, result.before
        if before is None:
            break
    return _json({"changed": changed}) if given.json else _print(f"{changed} tasks changed")


async def _count(source: Source, conditions: TaskConditions) -> int:
    total, before = 0, None
    while True:
        part = await source.count(conditions, before)
        total, before = total + part.count, part.before
        if before is None:
            return total


async def _change(source: Source, given: argparse.Namespace) -> int:
    await (source.change_schedule if given.schedule else source.change_queue)(given.name, given.change)
    return 0


async def _schedules(source: Source, given: argparse.Namespace) -> int:
    found = await source.schedules()
    if given.json:
        return _json(found)
    rows = []
    for each in found:
        state = "paused" if each.paused else "absent" if each.absent else "active"
        rows.append((each.key, state, _time(each.ticked_at), _time(each.next)))
    return _table(("schedule", "state", "last tick", "next tick"), rows)


async def _status(source: Source, given: argparse.Namespace) -> int:
    found = await source.overview()
    if given.json:
        return _json(found)
    for problem in found.problems:
        _print(f"! {problem.title}", f"  {problem.detail}")
    rows = [
        (
            f"{each.queue} (paused)" if each.queue in found.paused else each.queue,
            str(each.due),
            "" if each.oldest_s is None else duration(each.oldest_s),
            str(each.later),
            str(each.running),
            str(each.succeeded),
            str(each.failed),
        )
        for each in found.queues
    ]
    _table(("queue", "due", "oldest", "later", "running", "succeeded/h", "failed/h"), rows)
    workers = [
        (each.name, f"{each.active} of {each.processes}", str(each.running), _time(each.seen_at))
        for each in found.workers
    ]
    return _table(("worker", "active", "running", "reported"), workers) if workers else 0


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> int:
    lines = [heads, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    for line in lines:
        _print("  ".join(value.ljust(width) for value, width in zip(line, widths, strict=True)).rstrip())
    return 0


def _time(time: datetime | None) -> str:
    return "-" if time is None else f"{time.astimezone():%Y-%m-%d %H:%M:%S}"


def _json(value: Any) -> int:
    return _print(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def _print(*lines: str, end: str = "\n") -> int:
    for line in lines:
        print(line, end=end)  # noqa: T201  # output of a command
    return 0
