"""The role that functions log in with: it reads and writes rows, and changes no schema."""

from typing import Any

from sqlalchemy import Connection, text

__all__ = ["grant"]

_OWN_SCHEMAS = """
SELECT quote_ident(nspname) FROM pg_namespace
WHERE nspname = 'public' OR (nspname !~ '^pg_' AND nspname <> 'information_schema' AND nspowner = current_user::regrole)
"""


def grant(connection: Connection, role: str) -> None:
    """Make the role if it is not there, and let it use every table there is now; to be repeated when there are more.

    On RDS it logs in with tokens of IAM and has no password.

    Args:
        connection: As the owner of the schema, in a transaction.
        role: Its name, with no need for quotes.
    """

    def ask(statement: str, **values: Any) -> Any:
        return connection.execute(text(statement), values)

    if not ask("SELECT 1 FROM pg_roles WHERE rolname = :role", role=role).first():
        ask(f"CREATE ROLE {role} LOGIN")
    if ask("SELECT 1 FROM pg_roles WHERE rolname = 'rds_iam'").first():
        ask(f"GRANT rds_iam TO {role}")
    for schema in ask(_OWN_SCHEMAS).scalars().all():
        ask(f"GRANT USAGE ON SCHEMA {schema} TO {role}")
        ask(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role}")
        ask(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {role}")
    for table in ("decant.alembic_version", "alembic_version"):  # the second in databases of earlier releases
        if ask("SELECT to_regclass(:table)", table=table).scalar_one():
            ask(f"REVOKE INSERT, UPDATE, DELETE ON {table} FROM {role}")
