"""Add the table of responses to requests with an `Idempotency-Key`."""

from alembic import op

revision = "decant_0005"
down_revision = "decant_0004"


def upgrade() -> None:
    """Create the table; older code leaves it empty."""
    op.execute("""
        CREATE TABLE decant.idempotent_response (
            key bytea PRIMARY KEY,
            fingerprint bytea NOT NULL,
            status smallint NOT NULL,
            headers jsonb NOT NULL,
            body bytea NOT NULL,
            created_at timestamptz NOT NULL DEFAULT statement_timestamp()
        )
    """)
    op.execute("CREATE INDEX idempotent_response_created_at ON decant.idempotent_response (created_at)")
