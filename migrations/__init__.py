"""The versions of the database's schema, applied by Alembic."""
