"""Alembic's environment: runs the migrations on the connection that `app.upgrade` hands over."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
