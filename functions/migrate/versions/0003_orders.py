"""Create the table of orders."""

from alembic import op

revision = "0003_orders"
down_revision = "0002_users_list"


def upgrade() -> None:
    """Create the table."""
    op.execute(
        """
        CREATE TABLE orders (
            id uuid PRIMARY KEY,
            item text NOT NULL,
            amount integer NOT NULL,
            state text NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now()
        )
        """
    )
