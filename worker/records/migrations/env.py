"""Alembic's entry: runs the migrations on the connection it is given, inside that connection's transaction."""

from alembic import context

from worker.records.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=True,
    transaction_per_migration=False,
)
context.run_migrations()
