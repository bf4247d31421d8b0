"""A ledger of the first schema is brought to today's, with all that stands in it."""

import json
from datetime import UTC, datetime

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text

from bridge.ledger import migrating
from bridge.ledger.connecting import open_database
from bridge.ledger.tables import METADATA

FIRST = """
INSERT INTO deliveries (id, source, key, digest, timed, state, payload, received_at, due_at)
  VALUES ('d1', 'jira', 'k', 'x', 1, 'evaluated', '{}', :at, :at);
INSERT INTO runs (id, delivery, source, ticket_uid, ticket_key, ticket, mapping, key, portal, state, plan,
                  crashes, tries, due_at, created_at)
  VALUES ('r1', 'd1', 'jira', '501', 'SUP-1', '{}', 'office', 'once', 'main', 'answered', :plan, 0, 1,
          :at, :at);
INSERT INTO calls (run, part, attempt, content, state, intended_at)
  VALUES ('r1', 1, 1, '{}', 'answered', :at);
INSERT INTO pauses (portal, reason, at, run) VALUES ('main', 'unauthorized', :at, 'r1')
"""


@pytest.fixture
def first(database_url):
    """A database at the first schema."""
    engine = open_database(database_url)
    with engine.connect().execution_options(writing=True) as connection, connection.begin():
        config = migrating._config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        at = datetime(2026, 1, 1, tzinfo=UTC)
        values = {"at": at.replace(tzinfo=None) if engine.dialect.name == "sqlite" else at}
        values["plan"] = json.dumps({"action": "repair-office"})
        for statement in FIRST.strip().split(";\n"):
            used = {name: value for name, value in values.items() if f":{name}" in statement}
            connection.execute(text(statement), used)
    yield engine
    engine.dispose()


def test_what_stood_in_the_first_schema_stands_in_todays(first):
    assert migrating.migrate(first) == ("0001", "0002")
    with first.connect() as connection:
        run = connection.execute(text("SELECT action, intended_at, waived FROM runs")).one()
        pause = connection.execute(text("SELECT scope, value, reason, run FROM pauses")).one()
    assert run.action == "repair-office"
    assert str(run.intended_at).startswith("2026-01-01 00:00:00")
    assert run.waived == 0
    assert tuple(pause) == ("portal", "main", "unauthorized", "r1")


def test_the_migrations_make_exactly_the_tables_of_the_code(ledger):
    with ledger.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
