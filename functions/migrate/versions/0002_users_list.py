"""Create the index of the list of users."""

from alembic import op

revision = "0002_users_list"
down_revision = "0001_users"


def upgrade() -> None:
    """Create the index in which a page of users, newest first, is a range."""
    op.execute("CREATE INDEX users_created_at_id ON users (created_at, id)")
