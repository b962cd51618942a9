"""Create the table of users."""

from alembic import op

revision = "0001_users"
down_revision = None


def upgrade() -> None:
    """Create the table if it does not exist: databases of earlier releases have it already."""
    op.execute(
        "CREATE TABLE IF NOT EXISTS users (id uuid PRIMARY KEY, name text NOT NULL, email text NOT NULL)",
    )
    op.execute("CREATE UNIQUE INDEX IF NOT EXISTS users_email_key ON users (lower(email))")
