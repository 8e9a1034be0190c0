"""Run the migrations over the connection that the store hands in."""

from alembic import context
from sqlalchemy import Connection

connection = context.config.attributes.get("connection")
if not isinstance(connection, Connection):
    raise TypeError("migrations run over the store's connection: call `moodsort db upgrade`")

context.configure(
    connection=connection,
    render_as_batch=True,
    transactional_ddl=True,  # SQLite can, though Alembic does not take it to
)
with context.begin_transaction():
    context.run_migrations()
