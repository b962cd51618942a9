"""Store the spans that the local cloud receives, for the console; elsewhere the table stays empty."""

from alembic import op

revision = "decant_0012"
down_revision = "decant_0011"

SPAN = """
CREATE UNLOGGED TABLE decant.span (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    trace_id uuid NOT NULL,
    span_id text NOT NULL,
    parent_id text NOT NULL,    -- empty without a parent
    name text NOT NULL,
    kind smallint NOT NULL,     -- as in OTLP; 2 is a request
    service text NOT NULL,      -- the function, or the service
    started timestamptz NOT NULL,
    seconds float8 NOT NULL,
    error text,
    attributes jsonb NOT NULL,
    links jsonb NOT NULL        -- ids of other traces
)
"""
INDEXES = (
    "CREATE INDEX span_trace ON decant.span (trace_id)",
    "CREATE INDEX span_request ON decant.span (number) WHERE kind = 2",
    "CREATE INDEX span_started ON decant.span (started)",
)


def upgrade() -> None:
    """Create the table."""
    op.execute(SPAN)
    for index in INDEXES:
        op.execute(index)
