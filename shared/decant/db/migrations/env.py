"""Alembic's environment: run the migrations on the connection that `decant.db.migrations` passes."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], version_table_schema="decant")
context.run_migrations()
