"""Users: the table of this app."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the table; addresses are unique in whatever case their letters are written."""
    op.execute(
        """
        CREATE TABLE users (
            id uuid PRIMARY KEY,
            name text NOT NULL,
            email text NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now()
        )
        """
    )
    op.execute("CREATE UNIQUE INDEX users_email_key ON users (lower(email))")
