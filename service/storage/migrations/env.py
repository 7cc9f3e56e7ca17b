"""Alembic's entry: runs the revisions on the connection that `migrations.upgrade` passes."""

from alembic import context

from billing import tables as billing_tables
from service.storage import tables as service_tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=[service_tables.metadata, billing_tables.metadata],
    render_as_batch=True,  # SQLite alters a table by copying it
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
