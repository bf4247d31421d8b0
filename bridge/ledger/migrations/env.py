"""Runs migrations on the connection that `migrating` hands over.

It must not open a database itself, so that the settings of `connecting` hold for migrations too.
"""

from alembic import context

from bridge.ledger.tables import METADATA

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=METADATA, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
