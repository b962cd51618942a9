"""Column lists and parameter types, derived from the fields of the records.

A field is the column of its JSON name, except for the expressions below. Adding a field to a record therefore adds it
to every statement that reads or writes the record.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin
from uuid import UUID

import msgspec

__all__ = ["HAS_DEPENDENTS", "HAS_STEPS", "inserted", "lock_with_runs", "parameters", "selected", "with_attempt"]

_fields = cache(msgspec.structs.fields)  # it takes 0.1 ms, at the import of most modules with statements

HAS_DEPENDENTS = "t.children IS NOT NULL OR t.on_error IS NOT NULL OR t.awaited_by IS NOT NULL"

HAS_STEPS = "t.has_steps OR t.signalled > 0"
"""Whether a row may have steps or signals; a first claim that succeeds without steps, which is final, clears it."""

_EXPRESSIONS = {
    "args": "CAST(t.args AS text)",
    "kwargs": "CAST(t.kwargs AS text)",
    "options": "CAST(t.options AS text)",
    "result": "CAST(t.result AS text)",
    "progress": "CAST(t.progress AS text)",
    "details": "CAST(t.details AS text)",
    "expired": "coalesce(t.expires <= statement_timestamp(), false)",
    "has_dependents": HAS_DEPENDENTS,
    "due_in_s": "CAST(extract(epoch FROM t.eta - statement_timestamp()) AS float8)",
    "publish": "coalesce(t.wake_at > t.eta, false)",
    "traceparent": "t.options ->> 'traceparent'",
    "retried_at": "CAST(t.attempts -> -1 ->> 'date_done' AS timestamptz)",
}
"""Fields of records that are computed from the row `t` or cast: JSON goes out as text, alike in both drivers."""

_ERROR = "t.error_type, t.error, t.traceback"  # columns of the field `failure`

_TYPES: dict[Any, str] = {
    UUID: "uuid",
    str: "text",
    int: "integer",
    float: "float8",
    bool: "boolean",
    datetime: "timestamptz",
    tuple[UUID, ...]: "uuid[]",
}


def selected(record: type[msgspec.Struct], **expressions: str) -> str:
    """The list after SELECT or RETURNING that reads a record from the row `t`.

    Args:
        record: The record.
        expressions: Expressions for fields, in place of the usual ones.
    """
    return ", ".join(_selected(info, expressions) for info in _fields(record))


def _selected(info: msgspec.structs.FieldInfo, expressions: dict[str, str]) -> str:
    if info.name == "failure":
        return _ERROR
    expression = expressions.get(info.name) or _EXPRESSIONS.get(info.name)
    return f"t.{info.encode_name}" if expression is None else f"{expression} AS {info.name}"


def parameters(record: type[msgspec.Struct], *, without: Sequence[str] = ()) -> str:
    """The columns after json_to_recordset that read a record from JSON, without some of its fields."""
    columns = [f"{info.encode_name} {_type(info.type)}" for info in _fields(record) if info.name not in without]
    return ", ".join(columns)


def inserted(record: type[msgspec.Struct], expressions: dict[str, str], *, without: set[str]) -> tuple[str, str]:
    """The column list of INSERT, and the expressions to insert.

    Args:
        record: Record whose fields are inserted, as far as they are columns.
        expressions: Expressions for columns, in place of the field.
        without: Fields that are not columns.
    """
    names = [info.encode_name for info in _fields(record) if info.name not in without]
    values = dict.fromkeys(names, "") | expressions
    return ", ".join(values), ", ".join(expression or name for name, expression in values.items())


def with_attempt(error_type: str, error: str) -> str:
    """The column `attempts` of the row `t` with the attempt that ends now; it keeps the last 20.

    Args:
        error_type: Expression for the class of the attempt's error.
        error: Expression for its message.
    """
    return f"""
        CASE WHEN jsonb_array_length(t.attempts) >= 20 THEN t.attempts - 0 ELSE coalesce(t.attempts, '[]') END
        || jsonb_build_array(jsonb_build_object(
            'attempt', t.attempt, 'date_started', t.date_started, 'date_done', statement_timestamp(),
            'error_type', {error_type}, 'error', left({error}, 1000)
        ))
    """


def lock_with_runs(finishing: str) -> str:
    """Start of a WITH clause that locks tasks and the runs that wait for them, in the order of their ids.

    A statement that finishes tasks reads `locked` first. If a task fails, the tasks that depend on the batch are locked
    too: those that FAIL_DEPENDENTS closes, the runs that wait for those, and those that COUNT_DOWN changes. Two batches
    that locked such rows last would deadlock, for example when each finishes a run and the child of the other's run.
    LIMIT 1 keeps PostgreSQL from joining the whole table.

    Args:
        finishing: Query of the id of each task, and of whether it fails.
    """
    return f"""
    WITH RECURSIVE finishing (id, fails) AS MATERIALIZED ({finishing}),
    reached (id, fails) AS (
        SELECT id, fails FROM finishing
        UNION
        SELECT child, reached.fails
        FROM reached,
            LATERAL (
                SELECT children FROM decant.task
                WHERE task.id = reached.id
                    AND (reached.fails OR (SELECT bool_or(fails) FROM finishing) AND id IN (SELECT id FROM finishing))
                LIMIT 1
            ) AS parent,
            unnest(children) AS child
    ),
    locked AS MATERIALIZED (
        SELECT count(row.id)
        FROM (
            SELECT id FROM reached
            UNION
            SELECT awaited_by FROM reached,
                LATERAL (
                    SELECT awaited_by FROM decant.task WHERE id = reached.id AND awaited_by IS NOT NULL LIMIT 1
                ) AS child
            ORDER BY id
        ) AS member,
            LATERAL (SELECT id FROM decant.task WHERE id = member.id FOR UPDATE) AS row
    )
    """  # noqa: S608  # composed of constants


def _type(kind: Any) -> str:
    if get_origin(kind) in {Union, UnionType}:  # `X | None` with a Literal is a Union
        (kind,) = (part for part in get_args(kind) if part is not type(None))
    if get_origin(kind) is Literal or (isinstance(kind, type) and issubclass(kind, str)):
        return "text"
    return _TYPES.get(kind, "json")
