"""Delete the steps and signals of deleted tasks once per statement.

Foreign keys look up the steps and the signals of every deleted task by themselves, which takes longer than its
deletion, and lock the task for every step that is recorded. All statements that record steps or signals read the task.
"""

from alembic import op

revision = "decant_0015"
down_revision = "decant_0014"

FUNCTION = """
    CREATE FUNCTION decant.delete_steps() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        DELETE FROM decant.step WHERE task_id = ANY (ARRAY(SELECT id FROM deleted));
        DELETE FROM decant.signal WHERE task_id = ANY (ARRAY(SELECT id FROM deleted));
        RETURN NULL;
    END $$
"""
TRIGGER = """
    CREATE TRIGGER delete_steps AFTER DELETE ON decant.task REFERENCING OLD TABLE AS deleted
    FOR EACH STATEMENT EXECUTE FUNCTION decant.delete_steps()
"""


def upgrade() -> None:
    """Replace the foreign keys by a trigger; older code deletes tasks as before."""
    op.execute(FUNCTION)
    op.execute(TRIGGER)
    op.execute("ALTER TABLE decant.step DROP CONSTRAINT step_task_id_fkey")
    op.execute("ALTER TABLE decant.signal DROP CONSTRAINT signal_task_id_fkey")
