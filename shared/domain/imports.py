"""Import users from an uploaded CSV file with the columns name and e-mail address."""

import csv
from collections.abc import Iterator

import msgspec
from msgspec import Struct, field
from sqlalchemy import text

from decant import db
from decant.errors import UpstreamError
from decant.tasks import AsyncResult, current_run, task
from decant.uploads import lines
from domain.users import NewUser

__all__ = ["MAX_BYTES", "Import", "import_users", "key_of", "task_of"]

MAX_BYTES = 50_000_000
"""Maximum size of a file."""

_ROWS = 1_000
"""Rows of one transaction, after which the progress is stored."""

_SHOWN_ERRORS = 100
_HEADER = ["name", "email"]


class BadLine(Struct):
    """A line that was left out."""

    line: int
    detail: str


class Import(Struct):
    """Progress and result of an import.

    Attributes:
        offset: Bytes of the file that were read.
        lines: Lines that were read.
        created: Users that were created.
        known: Lines whose e-mail address a user had already.
        invalid: Lines that are not a user.
        errors: The first hundred of them.
    """

    offset: int = 0
    lines: int = 0
    created: int = 0
    known: int = 0
    invalid: int = 0
    errors: list[BadLine] = field(default_factory=list)


def key_of(task_id: str) -> str:
    """Name in the bucket of the file that a task imports."""
    return f"imports/{task_id}.csv"


def task_of(key: str) -> str:
    """Id of the task that imports a file."""
    return key.removeprefix("imports/").removesuffix(".csv")


@task(max_retries=3, retry_backoff=True, autoretry_for=(UpstreamError,))
async def import_users(key: str) -> dict[str, object]:
    """Import a file; a run after a crash continues where the progress ends, which is committed with the users."""
    done = await _stored() or Import()
    users: list[NewUser] = []
    async for offset, line in lines(key, done.offset):
        done.offset, done.lines = offset, done.lines + 1
        users += _parse(line, done)
        if len(users) == _ROWS:
            await _insert(users, done)
            users = []
    await _insert(users, done)
    result: dict[str, object] = msgspec.to_builtins(done)
    return result


async def _stored() -> Import | None:
    """The progress of an earlier run."""
    run = current_run()
    progress = await AsyncResult(run.request.id).progress if run is not None and run.request.id else None
    return None if progress is None else msgspec.convert(progress, Import)


def _parse(line: bytes, done: Import) -> Iterator[NewUser]:
    """The user of a line; none for the header and for a line that is invalid, which is noted."""
    try:
        row = next(csv.reader([line.decode("utf-8-sig")]), [])
        if done.lines == 1 and row == _HEADER:
            return
        yield msgspec.convert(dict(zip(_HEADER, row, strict=True)), NewUser)
    except (ValueError, csv.Error) as error:
        done.invalid += 1
        if len(done.errors) < _SHOWN_ERRORS:
            done.errors.append(BadLine(done.lines, str(error)))


async def _insert(users: list[NewUser], done: Import) -> None:
    """Insert users, except those whose e-mail address exists, and store the progress."""
    if not users:
        return
    run = current_run()
    given = {"names": [each.name for each in users], "emails": [each.email for each in users]}
    async with db.session() as session:
        inserted = await session.execute(_INSERT, given)
        created = len(inserted.all())
        done.created += created
        done.known += len(users) - created
        if run is not None:
            await run.update_progress(msgspec.to_builtins(done), session=session)


_INSERT = text(
    """
    INSERT INTO users (id, name, email)
    SELECT gen_random_uuid(), name, email
    FROM unnest(CAST(:names AS text[]), CAST(:emails AS text[])) AS given (name, email)
    ON CONFLICT DO NOTHING
    RETURNING id
    """
)
"""One statement with two arrays: a statement with a thousand rows of parameters takes three times as long."""
