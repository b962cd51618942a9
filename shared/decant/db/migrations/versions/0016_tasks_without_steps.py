"""Delete steps and signals only for tasks that may have some.

A statement trigger copies the deleted rows, and looks up the steps and the signals of each.
"""

from alembic import op

revision = "decant_0016"
down_revision = "decant_0015"

COLUMN = """
    ALTER TABLE decant.task
    ADD COLUMN has_steps boolean NOT NULL DEFAULT true  -- false: it succeeded in its first claim, without steps
"""
FUNCTION = """
    CREATE OR REPLACE FUNCTION decant.delete_steps() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        DELETE FROM decant.step WHERE task_id = OLD.id;
        DELETE FROM decant.signal WHERE task_id = OLD.id;
        RETURN NULL;
    END $$
"""
TRIGGER = """
    CREATE TRIGGER delete_steps AFTER DELETE ON decant.task
    FOR EACH ROW WHEN (OLD.has_steps OR OLD.signalled > 0) EXECUTE FUNCTION decant.delete_steps()
"""


def upgrade() -> None:
    """Add the column, and replace the trigger; rows that older code completes keep the default."""
    op.execute(COLUMN)
    op.execute("DROP TRIGGER delete_steps ON decant.task")
    op.execute(FUNCTION)
    op.execute(TRIGGER)
