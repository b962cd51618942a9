"""Create the table of users."""

from alembic import op

revision = "0001_users"
down_revision = None


def upgrade() -> None:
    """Create the table if it does not exist; addresses are unique without regard to case.

    Databases of earlier releases have the table already: it was revision 0002 of a line shared with the library.
    """
    op.execute(
        """
        CREATE TABLE IF NOT EXISTS users (
            id uuid PRIMARY KEY,
            name text NOT NULL,
            email text NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now()
        )
        """
    )
    op.execute("CREATE UNIQUE INDEX IF NOT EXISTS users_email_key ON users (lower(email))")
