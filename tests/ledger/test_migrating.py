"""A ledger of the first schema is brought to today's, with all that stands in it."""

import ast
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text

from bridge.ledger import migrating
from bridge.ledger.connecting import open_database
from bridge.ledger.tables import METADATA, SCHEMA_REVISION

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
    assert migrating.migrate(first) == ("0001", SCHEMA_REVISION)
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


# ── what old code that still runs bears ──────────────────────────────────────────────────────────────────

REVISIONS = sorted((Path(migrating.__file__).parent / "migrations" / "versions").glob("*.py"))
ADDING = {"add_column", "create_index", "create_table", "drop_index"}


def not_borne(code):
    """Yield what a revision does that code of the version before would not bear."""
    (upgrade,) = (
        part for part in ast.parse(code).body if isinstance(part, ast.FunctionDef) and part.name == "upgrade"
    )
    for call in (node for node in ast.walk(upgrade) if isinstance(node, ast.Call)):
        name = ast.unparse(call.func)
        if name.startswith("op.") and name.removeprefix("op.") not in ADDING | {"get_bind"}:
            yield name
        if name == "op.create_index" and any(word.arg == "unique" for word in call.keywords):
            yield "a unique index"
        if name == "op.add_column":
            given = {word.arg: ast.unparse(word.value) for word in call.args[1].keywords}
            if given.get("nullable") == "False" and "server_default" not in given:
                yield f"{ast.unparse(call.args[1].args[0])} may not be empty and has no default"


def test_every_revision_from_the_third_on_only_adds():
    later = [path for path in REVISIONS if path.name > "0003"]
    assert {path.name: problems for path in later if (problems := list(not_borne(path.read_text())))} == {}


@pytest.mark.parametrize(
    "done",
    [
        "op.drop_column('runs', 'tries')",
        "op.add_column('runs', sa.Column('n', sa.Integer(), nullable=False))",
        "op.create_index('ix', 'runs', ['n'], unique=True)",
        "op.execute('UPDATE runs SET state = 1')",
        "with op.batch_alter_table('runs') as batch:\n        batch.drop_column('n')",
    ],
)
def test_what_old_code_would_not_bear_is_seen(done):
    assert list(not_borne(f"def upgrade():\n    {done}\n"))


def test_what_only_adds_is_let_through():
    added = "op.add_column('runs', sa.Column('n', sa.Integer(), server_default='1', nullable=False))"
    assert not list(not_borne(f"def upgrade():\n    {added}\n"))
