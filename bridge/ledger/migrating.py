"""Moves the schema of a ledger forward with alembic, and refuses one that this code does not know.

It must not move a schema backward: rows that new code wrote would be lost.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from bridge.errors import ConfigurationError, LedgerUnavailable
from bridge.ledger.tables import SCHEMA_REVISION


def migrate(engine: Engine) -> tuple[str | None, str]:
    """Bring a ledger to the schema of this code; return the revision before and after.

    Raises ConfigurationError for a schema from the future. Two processes that migrate at once do it one
    after the other.
    """
    with _connected(engine, writing=True) as connection, connection.begin():
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('bridge migrate'))"))
        before = _revision(connection)
        if before != SCHEMA_REVISION:
            _upgrade(connection, before)
        return before, SCHEMA_REVISION


def is_empty(engine: Engine) -> bool:
    """Say whether a database holds no ledger yet."""
    with _connected(engine) as connection:
        return _revision(connection) is None


def require_schema(engine: Engine) -> None:
    """Raise ConfigurationError unless the ledger has exactly the schema of this code.

    Like all of this module, it raises LedgerUnavailable where the database does not answer.
    """
    with _connected(engine) as connection:
        revision = _revision(connection)
    if revision != SCHEMA_REVISION:
        _refuse_the_future(revision)
        raise ConfigurationError(
            (f"BRIDGE_DATABASE_URL: the ledger's schema is {revision or 'empty'} (run `bridge migrate`)",)
        )


@contextmanager
def _connected(engine: Engine, *, writing: bool = False) -> Iterator[Connection]:
    try:
        with engine.connect().execution_options(writing=writing) as connection:
            yield connection
    except SQLAlchemyError as error:
        raise LedgerUnavailable(type(error).__name__) from error


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _upgrade(connection: Connection, before: str | None) -> None:
    from alembic import command  # noqa: PLC0415 - alembic is 10 MB that a process with its schema never needs

    _refuse_the_future(before)
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, SCHEMA_REVISION)


def _refuse_the_future(revision: str | None) -> None:
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - as above

    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if revision is not None and revision not in known:
        raise ConfigurationError(
            (f"BRIDGE_DATABASE_URL: schema {revision} is newer than this version (start a later version)",)
        )


def _config() -> Any:
    from alembic.config import Config  # noqa: PLC0415 - as above

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config
