"""Spans of SQL statements: their text without values.

Source: OpenTelemetry semantic conventions, database client spans.
"""

import re
from functools import lru_cache
from typing import Any

from sqlalchemy import Engine, event

from decant.tracing import Kind, current, tracer

__all__ = ["describe", "trace_statements"]

_MOST_CHARACTERS = 4000
_LITERAL = re.compile(
    r"""(?P<dollar>\$(?P<tag>\w*)\$.*?\$(?P=tag)\$) | [eE]?'(?:[^'\\]|\\.|'')*' | (?<![\w$.])\d+(?:\.\d+)?\b""",
    re.DOTALL | re.VERBOSE,
)
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_CHANGE = re.compile(
    r"\b(INSERT)\s+INTO\s+([\w.\"]+)|(?<!FOR\s)(?<!DO\s)\b(UPDATE)\s+([\w.\"]+)|\b(DELETE)\s+FROM\s+([\w.\"]+)",
    re.IGNORECASE,
)
_TABLE = re.compile(r"(?<!epoch\s)\bFROM\s+([\w.\"]+)", re.IGNORECASE)


def trace_statements(engine: Engine) -> None:
    """Record a span for every statement of an engine that is executed inside of another span, while tracing is on."""
    if tracer() is None:
        return

    @event.listens_for(engine, "before_cursor_execute")
    def begin(_connection: object, _cursor: object, statement: str, *rest: Any) -> None:
        context = rest[1]
        if (parent := current.get()) is not None and context is not None:
            name, sanitised = describe(statement)
            attributes = {
                "db.system.name": "postgresql",
                "db.namespace": engine.url.database,
                "db.operation.name": name.partition(" ")[0],
                "db.query.text": sanitised,
                "server.address": engine.url.host,
            }
            context.decant_span = parent.child(name, Kind.CLIENT, attributes)

    @event.listens_for(engine, "after_cursor_execute")
    def finish(*given: Any) -> None:
        if (span := getattr(given[4], "decant_span", None)) is not None:
            span.end()

    @event.listens_for(engine, "handle_error")
    def fail(failure: Any) -> None:
        if (span := getattr(failure.execution_context, "decant_span", None)) is not None:
            state = getattr(failure.original_exception, "sqlstate", None)
            span.set({"db.response.status_code": state})
            span.fail(type(failure.original_exception).__name__, f"SQLSTATE {state}")  # a message may contain values
            span.end()


@lru_cache(512)
def describe(statement: str) -> tuple[str, str]:
    """The name of a statement's span, its operation and table, and its text with `?` in place of literals."""
    text = _LITERAL.sub("?", _COMMENT.sub(" ", statement))
    text = " ".join(text.split())[:_MOST_CHARACTERS]
    change = _CHANGE.search(text)
    if change is not None:
        operation, table = (part for part in change.groups() if part is not None)
    else:
        table = found.group(1) if (found := _TABLE.search(text)) else ""
        operation = text.partition(" ")[0]
        operation = "SELECT" if operation.upper() == "WITH" else operation
    return f"{operation.upper()} {table}".rstrip(), text
