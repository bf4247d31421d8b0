"""Adds the runs that deliveries ask for: one in each place, and none in a loop.

It must not judge what is asked for. Rules A2 and A3.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from sqlalchemy import bindparam, func, select

from bridge.errors import Reason
from bridge.ledger import Tx
from bridge.ledger.codec import PLAN, TICKET, to_text
from bridge.ledger.outbox import owe
from bridge.ledger.prepared import on_each
from bridge.ledger.tables import runs
from bridge.ledger.waking import ring
from bridge.models import (
    DeliveryId,
    MappingId,
    Mode,
    OwedComment,
    Plan,
    RunId,
    RunState,
    TicketRef,
)

# The guard that holds whatever else fails (A3): so many runs of a ticket and mapping in an hour.
LOOP_RUNS = 3
LOOP_WINDOW = timedelta(hours=1)

# Built once: building a statement takes several times as long as running it.
_NEW_RUN: Final = on_each(lambda insert: insert(runs).on_conflict_do_nothing().returning(runs.c.id))
_OF_PLACE: Final = (
    runs.c.source == bindparam("of_source"),
    runs.c.ticket_uid == bindparam("of_ticket"),
    runs.c.mapping == bindparam("of_mapping"),
)
_LATELY: Final = (
    select(func.count().label("runs"))
    .select_from(runs)
    .where(*_OF_PLACE, runs.c.created_at > bindparam("since"))
)
_IN_PLACE: Final = select(runs.c.id).where(*_OF_PLACE, runs.c.key == bindparam("of_key"))


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    """A run as the receiver wants it; `state` is QUEUED, RECORDED or REFUSED."""

    id: RunId
    mapping: MappingId
    mode: Mode
    key: str
    ticket: TicketRef
    state: RunState
    reason: Reason | None
    detail: str | None
    plan: Plan | None
    comment: OwedComment | None


# A run that is wanted, and the delivery that asks for it.
Wanted: TypeAlias = tuple[DeliveryId, NewRun]


def add_runs(tx: Tx, wanted: list[Wanted]) -> set[RunId]:
    """Add the runs that are new, as if each were wanted after those before it, and return them."""
    made: set[RunId] = set()
    for apart in _of_different_places(wanted):
        made |= _add_apart(tx, apart)
    if made:
        ring(tx)
    return made


def insert_runs(tx: Tx, wanted: list[Wanted], *, replay_of: RunId | None = None) -> set[RunId]:
    """Add the rows of runs, and return those whose place was not taken (A2)."""
    rows = [
        {**_run_columns(new, tx.now), "delivery": delivery, "replay_of": replay_of}
        for delivery, new in wanted
    ]
    made: set[RunId] = set()
    for (_, new), inserted in zip(wanted, tx.run_each(_NEW_RUN, rows), strict=True):
        if inserted:
            made.add(new.id)
            tx.count("run", new.mapping, new.state)
    return made


def served_by(tx: Tx, new: NewRun) -> str | None:
    """Return the run that has the place of this one already; None where it would be new (A2)."""
    source, ticket, mapping = _place(new)
    asked = {"of_source": source, "of_ticket": ticket, "of_mapping": mapping, "of_key": new.key}
    found: str | None = tx.value(_IN_PLACE, asked)
    return found


def _of_different_places(wanted: list[Wanted]) -> Iterable[list[Wanted]]:
    """Split runs so that no two that go together have the same ticket and mapping: the guard counts them."""
    before: Counter[tuple[str, ...]] = Counter()
    apart: defaultdict[int, list[Wanted]] = defaultdict(list)
    for delivery, new in wanted:
        place = _place(new)
        apart[before[place]].append((delivery, new))
        before[place] += 1
    return apart.values()


def _place(new: NewRun) -> tuple[str, str, str]:
    return new.ticket.source, new.ticket.uid, new.mapping


def _add_apart(tx: Tx, wanted: list[Wanted]) -> set[RunId]:
    """Add runs of different tickets and mappings that are new, and return them."""
    looping = _looping(tx, [new for _, new in wanted])
    placed = [
        (delivery, replace(new, state=RunState.HELD, reason=Reason.LOOP))
        if new.id in looping and new.state is RunState.QUEUED
        else (delivery, new)
        for delivery, new in wanted
    ]
    made = insert_runs(tx, placed)
    for _, new in placed:
        if new.id in made:
            tx.note(run=new.id, event=new.state, detail=new.reason)
            # A loop is told nobody: the comment would be its next event.
            if new.comment is not None and new.id not in looping:
                owe(tx, run=new.id, ticket=new.ticket, comment=new.comment)
    return made


def _run_columns(new: NewRun, now: datetime) -> dict[str, object]:
    ended = new.state in {RunState.RECORDED, RunState.REFUSED}
    return {
        "id": new.id,
        "source": new.ticket.source,
        "ticket_uid": new.ticket.uid,
        "ticket_key": new.ticket.key,
        "ticket": to_text(TICKET, new.ticket),
        "mapping": new.mapping,
        "key": new.key,
        "portal": new.plan.portal if new.plan else None,
        "action": new.plan.action if new.plan else None,
        "state": new.state,
        "reason": new.reason,
        "detail": new.detail,
        "plan": to_text(PLAN, new.plan) if new.plan else None,
        "crashes": 0,
        "tries": 0,
        "due_at": now,
        "created_at": now,
        "ended_at": now if ended else None,
    }


def _looping(tx: Tx, wanted: list[NewRun]) -> set[RunId]:
    """Return those of whose ticket and mapping there were too many runs in the last hour (A3)."""
    # In one order, so that two processes do not wait for each other.
    ordered = sorted(wanted, key=_place)
    # Counting is only worth something where nobody adds a run of the same ticket and mapping meanwhile.
    tx.only_one(*(f"loop:{':'.join(_place(new))}" for new in ordered))
    since = tx.now - LOOP_WINDOW
    asked = [
        {"of_source": source, "of_ticket": ticket, "of_mapping": mapping, "since": since}
        for source, ticket, mapping in map(_place, ordered)
    ]
    lately = tx.run_each(_LATELY, asked)
    return {new.id for new, (row,) in zip(ordered, lately, strict=True) if row["runs"] >= LOOP_RUNS}
