"""Run the migrations over the connection that the store passes in."""

from alembic import context
from sqlalchemy import Connection

connection = context.config.attributes.get("connection")
if not isinstance(connection, Connection):
    raise TypeError("migrations run over the store's connection: call `moodsort db upgrade`")

context.configure(
    connection=connection,
    render_as_batch=True,
    transactional_ddl=True,  # Alembic believes that SQLite has none
)
with context.begin_transaction():
    context.run_migrations()
