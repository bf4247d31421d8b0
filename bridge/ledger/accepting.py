"""Takes deliveries and their runs in, and keeps the mapping sets and accounts that evaluation needs.

It must not evaluate anything. Rules A1 to A5.
"""

import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import bindparam, func, select, update

from bridge.errors import LostOwnership, Reason
from bridge.ledger import Tx, approvals
from bridge.ledger.codec import PLAN, TICKET, to_text
from bridge.ledger.outbox import owe
from bridge.ledger.prepared import on_each
from bridge.ledger.tables import deliveries, runs
from bridge.ledger.waking import ring
from bridge.models import (
    ONCE,
    Delivery,
    DeliveryId,
    DeliveryState,
    Json,
    MappingId,
    Mode,
    Outcome,
    OwedComment,
    Plan,
    RunId,
    RunState,
    TicketRef,
)

# A body without the sender's time may be a second event after this long, and is a repeat within it (A1).
UNTIMED_REPEAT = timedelta(minutes=10)
# The guard that holds whatever else fails (A3): so many runs of a ticket and mapping in an hour.
LOOP_RUNS = 3
LOOP_WINDOW = timedelta(hours=1)

# Built once: building a statement takes several times as long as running it.
_DELIVERY: Final = on_each(
    lambda insert: insert(deliveries).on_conflict_do_nothing().returning(deliveries.c.id)
)
_NEW_RUN: Final = on_each(lambda insert: insert(runs).on_conflict_do_nothing().returning(runs.c.id))
_LATELY: Final = (
    select(func.count().label("runs"))
    .select_from(runs)
    .where(
        runs.c.source == bindparam("of_source"),
        runs.c.ticket_uid == bindparam("of_ticket"),
        runs.c.mapping == bindparam("of_mapping"),
        runs.c.created_at > bindparam("since"),
    )
)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of a delivery: the reason where it needs nothing, the findings, the runs it asks for.

    `judged` are the names of the changes that were held against the mappings, whatever came of them.
    """

    reason: Reason | None
    detail: str | None
    ticket: TicketRef | None
    findings: Json
    mapping_set: str | None
    runs: tuple[NewRun, ...]
    judged: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The delivery's id (the first one's for a duplicate) and the runs that were made by this call.

    `reason` says why there is none, where the delivery itself is no duplicate.
    """

    delivery: DeliveryId
    duplicate: bool
    runs: tuple[RunId, ...]
    reason: Reason | None = None


def accept(
    tx: Tx,
    *,
    delivery_id: DeliveryId,
    delivery: Delivery,
    verdict: Verdict | None,
    ticket: TicketRef | None = None,
    ring: bool = False,
) -> Accepted:
    """Commit a delivery and the runs of its verdict; without a verdict it waits as pending (A1, A4).

    `ticket` is what is read before it is judged. The body of a `ring` is no news, so the same body is no
    repeat: each leads to a look at the ticket that begins after it, and finds there what is new.
    """
    if not delivery.timed and not ring and (first := _same_body(tx, delivery)) is not None:
        return Accepted(delivery=first, duplicate=True, runs=())
    row = {
        "id": delivery_id,
        "source": delivery.source,
        "key": delivery.key,
        "digest": delivery.digest,
        "timed": int(delivery.timed),
        "signed": int(delivery.signed),
        "recovered": int(delivery.recovered),
        "payload": json.dumps(delivery.payload, separators=(",", ":")),
        "received_at": delivery.received_at,
        "due_at": tx.now,
        **_ticket_columns(ticket),
        **_verdict_columns(verdict, tx.now),
    }
    made = tx.value(_DELIVERY, row)
    if made is None:
        first_id = tx.connection.execute(
            select(deliveries.c.id).where(
                deliveries.c.source == delivery.source, deliveries.c.key == delivery.key
            )
        ).scalar_one()
        return Accepted(delivery=DeliveryId(first_id), duplicate=True, runs=())
    arrived = {"source": delivery.source, "digest": delivery.digest, "recovered": delivery.recovered}
    tx.audit("delivery_accepted", about=delivery_id, detail=arrived)
    if verdict is None:
        tx.count("delivery", delivery.source, DeliveryState.PENDING)
        return Accepted(delivery=delivery_id, duplicate=False, runs=())
    runs_made, reason = _carry_out(tx, delivery_id, delivery.source, verdict)
    return Accepted(delivery=delivery_id, duplicate=False, runs=runs_made, reason=reason)


def judge(tx: Tx, *, delivery_id: DeliveryId, verdict: Verdict) -> tuple[RunId, ...]:
    """Close a pending delivery with its verdict and runs; raise LostOwnership where another did (A4)."""
    changed = tx.connection.execute(
        update(deliveries)
        .where(deliveries.c.id == delivery_id, deliveries.c.state == DeliveryState.PENDING)
        .values(_verdict_columns(verdict, tx.now))
        .returning(deliveries.c.source)
    ).scalar()
    if changed is None:
        raise LostOwnership(f"delivery {delivery_id} is not pending")
    return _carry_out(tx, delivery_id, changed, verdict)[0]


def _same_body(tx: Tx, delivery: Delivery) -> DeliveryId | None:
    tx.only_one(f"body:{delivery.digest}")
    first = tx.connection.execute(
        select(deliveries.c.id).where(
            deliveries.c.source == delivery.source,
            deliveries.c.digest == delivery.digest,
            deliveries.c.received_at > delivery.received_at - UNTIMED_REPEAT,
        )
    ).scalar()
    return DeliveryId(first) if first else None


def _ticket_columns(ticket: TicketRef | None) -> dict[str, object]:
    if ticket is None:
        return {}
    return {"ticket_uid": ticket.uid, "ticket_key": ticket.key, "ticket": to_text(TICKET, ticket)}


def _verdict_columns(verdict: Verdict | None, now: datetime) -> dict[str, object]:
    if verdict is None:
        return {"state": DeliveryState.PENDING}
    return {
        "state": DeliveryState.EVALUATED,
        "reason": verdict.reason,
        "detail": verdict.detail,
        **_ticket_columns(verdict.ticket),
        "findings": json.dumps(verdict.findings),
        "judged": json.dumps(verdict.judged),
        "mapping_set": verdict.mapping_set,
        "evaluated_at": now,
    }


def _carry_out(
    tx: Tx, delivery: DeliveryId, source: str, verdict: Verdict
) -> tuple[tuple[RunId, ...], Reason | None]:
    """Add the runs of a verdict, and say in totals and audit what was decided by which rules."""
    made, reason = _add_runs(tx, delivery, verdict)
    decision = reason or "matched"
    tx.count("delivery", source, decision)
    decided = {"decision": decision, "mapping_set": verdict.mapping_set, "runs": list(made)}
    tx.audit("delivery_judged", about=delivery, detail=decided)
    return made, reason


def _add_runs(tx: Tx, delivery: DeliveryId, verdict: Verdict) -> tuple[tuple[RunId, ...], Reason | None]:
    """Add the runs that are new; note in the findings which run served the others already."""
    if verdict.ticket is not None:
        approvals.ask_again(tx, ticket=verdict.ticket)
    ordered = sorted(verdict.runs, key=lambda new: new.mapping)
    made = tuple(new.id for new in ordered if _add_run(tx, delivery, new))
    if made:
        ring(tx)
    served = {new.id: served_by(tx, new) for new in ordered if new.id not in made}
    if not served:
        return made, verdict.reason
    once = {new.id for new in ordered if new.key == ONCE}
    findings = [
        {**finding, "outcome": Outcome.ALREADY_SERVED, "run": served[finding["run"]]}
        | ({"once": True} if finding["run"] in once else {})
        if finding["run"] in served
        else finding
        for finding in verdict.findings
    ]
    reason = None if made else Reason.ALREADY_SERVED
    tx.connection.execute(
        update(deliveries)
        .where(deliveries.c.id == delivery)
        .values(findings=json.dumps(findings), reason=reason)
    )
    return made, reason


def served_by(tx: Tx, new: NewRun) -> str | None:
    """Return the run that has the place of this one already; None where it would be new (A2)."""
    query = select(runs.c.id).where(
        runs.c.source == new.ticket.source,
        runs.c.ticket_uid == new.ticket.uid,
        runs.c.mapping == new.mapping,
        runs.c.key == new.key,
    )
    return tx.connection.execute(query).scalar()


def _add_run(tx: Tx, delivery: DeliveryId, new: NewRun) -> bool:
    looping = _runs_in_the_last_hour(tx, new) >= LOOP_RUNS
    held = looping and new.state is RunState.QUEUED
    placed = replace(new, state=RunState.HELD, reason=Reason.LOOP) if held else new
    if not insert_run(tx, delivery, placed):
        return False
    tx.note(run=new.id, event=placed.state, detail=placed.reason)
    # A loop is told nobody: the comment would be its next event.
    if new.comment is not None and not looping:
        owe(tx, run=new.id, ticket=new.ticket, comment=new.comment)
    return True


def insert_run(tx: Tx, delivery: DeliveryId, new: NewRun, *, replay_of: RunId | None = None) -> bool:
    """Add a run's row; return False where its place is taken (A2)."""
    ended = new.state in {RunState.RECORDED, RunState.REFUSED}
    made = tx.value(
        _NEW_RUN,
        {
            "id": new.id,
            "delivery": delivery,
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
            "due_at": tx.now,
            "created_at": tx.now,
            "ended_at": tx.now if ended else None,
            "replay_of": replay_of,
        },
    )
    if made is None:
        return False
    tx.count("run", new.mapping, new.state)
    return True


def _runs_in_the_last_hour(tx: Tx, new: NewRun) -> int:
    # Counting is only worth something where nobody adds a run of the same ticket and mapping meanwhile.
    tx.only_one(f"loop:{new.ticket.source}:{new.ticket.uid}:{new.mapping}")
    asked = {"of_source": new.ticket.source, "of_ticket": new.ticket.uid, "of_mapping": new.mapping}
    return int(tx.value(_LATELY, {**asked, "since": tx.now - LOOP_WINDOW}))
