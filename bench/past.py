"""Gives a ledger a past: what came and what ran, copied from one real event by the database itself.

It must not measure, nor decide how much there is.
"""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Engine, Table, bindparam, text

from bridge.ledger import Tx
from bridge.ledger.tables import UtcDateTime, deliveries, history, runs

# Of a thousand runs those below the number ended like this; few have not ended, whatever the past.
ENDS: Final = (
    ("answered", 920),
    ("refused", 960),
    ("expired", 975),
    ("recorded", 990),
    ("cancelled", 995),
    ("dead", 996),
    ("held", 998),
    ("unknown", 1000),
)
# Of so many mappings, the copies of one.
_MAPPINGS: Final = 20


def newest(tx: Tx) -> Any:
    """Return the `id` of the newest run, and its `delivery`."""
    return tx.connection.execute(
        text("SELECT id, delivery FROM runs ORDER BY created_at DESC, id DESC LIMIT 1")
    ).one()


def make_past(tx: Tx, *, count: int, over: timedelta) -> None:
    """Copy the newest event so many times, spread evenly over a time until now, with every end of a run."""
    copied = newest(tx)
    step = over / count
    at = moment(tx.connection.dialect.name)
    ends = "CASE " + " ".join(f"WHEN n % 1000 < {below} THEN '{end}'" for end, below in ENDS) + " END"
    key = "replace(ticket_key, '-', '-' || n || '0')"
    own = {"id": "id || '-' || n", "ticket_uid": "ticket_uid || '-' || n", "ticket_key": key}
    spread = Spread(count=count, until=tx.now, step=step)
    delivered = own | {"key": "key || '-' || n", "payload": "'{}'", "received_at": at, "due_at": at}
    copy(tx.connection, deliveries, "id", copied.delivery, spread, delivered | {"evaluated_at": at})
    ran = own | {
        "delivery": "delivery || '-' || n",
        "state": ends,
        "reason": "CASE WHEN n % 1000 BETWEEN 996 AND 997 THEN 'over_limit' END",
        "mapping": f"mapping || '-' || (n % {_MAPPINGS})",
        "ended_at": f"CASE WHEN n % 1000 < 996 THEN {at} END",
    }
    copy(
        tx.connection,
        runs,
        "id",
        copied.id,
        spread,
        ran | dict.fromkeys(("created_at", "due_at", "intended_at"), at),
    )
    of_run = {"run": "run || '-' || n"}
    copy(tx.connection, history, "run", copied.id, spread, of_run | {"at": at})


def tidy(engine: Engine) -> None:
    """Do what PostgreSQL has done by itself to rows that came one by one in such a time."""
    if engine.dialect.name == "postgresql":
        with closing(engine.raw_connection()) as connection:
            connection.cursor().execute("VACUUM (ANALYZE)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """So many copies, the newest at `until`, each a step before the next."""

    count: int
    until: datetime
    step: timedelta


def moment(dialect: str) -> str:
    """Return the expression for the time of the copy number `n`."""
    if dialect == "sqlite":
        return "strftime('%Y-%m-%d %H:%M:%f', :until, '-' || (n * :step) || ' seconds') || '000'"
    return ":until - n * :step * interval '1 second'"


def copy(
    connection: Connection,
    table: Table,
    found_by: str,
    value: str,
    spread: Spread,
    changed: Mapping[str, str],
) -> None:
    """Copy the rows with a value; `changed` are expressions over the row, its number `n`, and a moment."""
    columns = [column.name for column in table.columns if column.autoincrement is not True]
    expressions = [changed.get(name, f'"{name}"') for name in columns]
    names = ", ".join(f'"{name}"' for name in columns)
    statement = text(
        "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :count) "
        f"INSERT INTO {table.name} ({names}) "
        f'SELECT {", ".join(expressions)} FROM {table.name}, numbers WHERE {table.name}."{found_by}" = :value'
    )
    given: dict[str, object] = {"count": spread.count, "value": value}
    if any(":until" in each for each in expressions):
        statement = statement.bindparams(bindparam("until", type_=UtcDateTime()))
        given |= {"until": spread.until, "step": spread.step.total_seconds()}
    connection.execute(statement, given)
