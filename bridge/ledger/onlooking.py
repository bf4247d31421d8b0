"""What somebody who looks on wants to know at once: how Engines answered, who has what in hand, what presses.

It must not say who is well; it reads a bounded number of rows, however long the past is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Select, bindparam, func, literal_column, select

from bridge.errors import Reason
from bridge.ledger import Tx
from bridge.ledger.codec import RESULT
from bridge.ledger.tables import UNENDED, calls, comments, deliveries, is_in, runs
from bridge.models import (
    CallResult,
    CallState,
    CommentState,
    EngineCode,
    PortalName,
    RunId,
    RunState,
    SessionId,
    SourceName,
)

# So many of the newest runs that were sent are looked at for what Engines answered.
RUNS_LOOKED_AT: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineLine:
    """How an Engine answered in the runs that were looked at: the newest answer, and how many were `ok`."""

    portal: PortalName
    engine: str
    code: EngineCode
    at: datetime
    answers: int
    ok: int


# And so many of each kind of run that presses are named one by one.
PRESSING_SHOWN: Final = 5
# Who waits for approval is looked for among so many that are held: a limit may hold very many more.
HELD_LOOKED_AT: Final = 1_000


class Pressing(StrEnum):
    """Why a run waits for a person to look at it by itself."""

    UNKNOWN = "unknown"
    DEAD = "dead"
    AWAITING_APPROVAL = "awaiting_approval"
    UNDELIVERABLE = "undeliverable"


@dataclass(frozen=True, slots=True, kw_only=True)
class PressingRun:
    """A run that is named, by its ticket."""

    id: RunId
    ticket_key: str


def _newest_of(state: RunState) -> Select[Any]:
    return (
        select(runs.c.id, runs.c.ticket_key, runs.c.reason, runs.c.created_at)
        .where(is_in(runs.c.state, *UNENDED), is_in(runs.c.state, state))
        .order_by(runs.c.created_at.desc())
    )


def _awaiting_approval() -> Select[Any]:
    held = _newest_of(RunState.HELD).limit(HELD_LOOKED_AT).subquery("held")
    return (
        select(held.c.id, held.c.ticket_key)
        .where(held.c.reason == literal_column(f"'{Reason.AWAITING_APPROVAL}'"))
        .order_by(held.c.created_at.desc())
        .limit(PRESSING_SHOWN)
    )


# Built once: they run for every look.
_ANSWERS: Final = (
    select(runs.c.portal, calls.c.result, calls.c.ended_at)
    .join_from(runs, calls, calls.c.run == runs.c.id)
    .where(
        runs.c.id.in_(
            select(runs.c.id)
            .where(runs.c.intended_at.is_not(None))
            .order_by(runs.c.intended_at.desc())
            .limit(RUNS_LOOKED_AT)
            .correlate(None)
        ),
        calls.c.result.is_not(None),
        calls.c.ended_at.is_not(None),
    )
    .order_by(calls.c.ended_at)
)
# The next one in the order of its index.
_NEXT_SOURCE: Final = (
    select(deliveries.c.source)
    .where(deliveries.c.source > bindparam("last"))
    .order_by(deliveries.c.source)
    .limit(1)
)
_LAST_OF_SOURCE: Final = (
    select(deliveries.c.received_at)
    .where(deliveries.c.source == bindparam("source"), deliveries.c.recovered == 0)
    .order_by(deliveries.c.received_at.desc())
    .limit(1)
)
_IN_HAND: Final = (
    select(runs.c.owner, func.count().label("count"))
    .where(runs.c.owner.is_not(None))
    .group_by(runs.c.owner)
    .order_by(runs.c.owner)
)
_PRESSING: Final = {
    Pressing.UNKNOWN: _newest_of(RunState.UNKNOWN).limit(PRESSING_SHOWN),
    Pressing.DEAD: _newest_of(RunState.DEAD).limit(PRESSING_SHOWN),
    Pressing.AWAITING_APPROVAL: _awaiting_approval(),
    Pressing.UNDELIVERABLE: select(runs.c.id, runs.c.ticket_key)
    .join_from(comments, runs, runs.c.id == comments.c.run)
    .where(is_in(comments.c.state, CommentState.UNDELIVERABLE))
    .order_by(comments.c.owed_at.desc())
    .limit(PRESSING_SHOWN),
}


def engines(tx: Tx) -> tuple[EngineLine, ...]:
    """Return how each Engine answered that the newest runs were sent to, by portal and name."""
    found: dict[tuple[str, str], EngineLine] = {}
    for row in tx.run(_ANSWERS, {}):
        for outcome in _result(row).outcomes:
            name = outcome.name or outcome.engine
            before = found.get((row["portal"], name))
            found[row["portal"], name] = EngineLine(
                portal=PortalName(row["portal"]),
                engine=name,
                code=outcome.code,
                at=row["ended_at"],
                answers=(before.answers if before else 0) + 1,
                ok=(before.ok if before else 0) + (outcome.code is EngineCode.OK),
            )
    return tuple(found[key] for key in sorted(found))


def last_webhooks(tx: Tx) -> Mapping[SourceName, datetime]:
    """Return when each source that ever sent something did so last; what was asked back does not count."""
    found: dict[SourceName, datetime] = {}
    source = ""
    while (source := tx.value(_NEXT_SOURCE, {"last": source})) is not None:
        at = tx.value(_LAST_OF_SOURCE, {"source": source})
        if at is not None:
            found[SourceName(source)] = at
    return found


def in_hand(tx: Tx) -> Mapping[SessionId, int]:
    """Return how many runs each worker session has claimed or is sending."""
    return {SessionId(row["owner"]): row["count"] for row in tx.run(_IN_HAND, {})}


def pressing(tx: Tx) -> Mapping[Pressing, tuple[PressingRun, ...]]:
    """Return the newest runs of each kind that presses."""
    return {
        kind: tuple(
            PressingRun(id=RunId(row["id"]), ticket_key=row["ticket_key"]) for row in tx.run(query, {})
        )
        for kind, query in _PRESSING.items()
    }


def _result(row: Mapping[str, Any]) -> CallResult:
    """Read an answer; one that another version wrote, or that was damaged, says nothing of an Engine."""
    try:
        return RESULT.validate_json(row["result"])
    except ValueError:
        return CallResult(state=CallState.UNKNOWN)
