"""Reads a ticket again just before an approved run is sent: closed, gone or changed, it is not sent.

It must not decide anything by what a webhook said; the ticket system itself is asked.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bridge.connections import Connections
from bridge.errors import BridgeError, Reason
from bridge.fetching import Fetching
from bridge.ledger import Ledger, Tx, queries
from bridge.mapping.language import MappingSet
from bridge.mapping.rereading import difference
from bridge.models import (
    Delivery,
    EventKind,
    FetchedTicket,
    NotRead,
    Part,
    Plan,
    Run,
    TicketEvent,
    Trust,
)
from bridge.policy import needs_approval

# The entry of the history that started a run was made at its plan's time, give or take what clocks round off.
_SAME_MOMENT = timedelta(seconds=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class StillWanted:
    """Nothing speaks against a plan; `at` is the ledger's time before its ticket was read.

    `at` is None for a plan that needs no approval: it goes by what its webhook said.
    """

    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotWanted:
    reason: Reason
    detail: str | None = None


class Rereading:
    """The use case; `mapping_set` gives the rules in force."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        connections: Callable[[], Connections],
        fetching: Fetching,
        mapping_set: Callable[[], MappingSet | None],
    ) -> None:
        self._ledger = ledger
        self._connections = connections
        self._fetching = fetching
        self._mapping_set = mapping_set

    def look(self, run: Run, plan: Plan, parts: tuple[Part, ...]) -> StillWanted | NotWanted | NotRead:
        """Say whether a run is still what its ticket asks for; NotRead where nobody could say now."""
        if not has_to_be_read(plan, parts):
            return StillWanted(at=None)
        at, delivery = self._ledger.read(_now_and_delivery, run=run)
        fetched = self._fetching.ticket(run.ticket, plan.occurred_at - _SAME_MOMENT)
        if isinstance(fetched, NotRead):
            gone = NotWanted(reason=Reason.TICKET_NOT_READ, detail=fetched.detail)
            return gone if fetched.gone else fetched
        if fetched.closed:
            return NotWanted(reason=Reason.TICKET_CLOSED)
        mapping_set = self._mapping_set()
        rules = mapping_set.mappings if mapping_set else ()
        rule = next((rule for rule in rules if rule.id == plan.mapping), None)
        if rule is None:
            detail = f"no mapping '{plan.mapping}' is in force"
            return NotWanted(reason=Reason.PLAN_CHANGED, detail=detail)
        changed = difference(plan, rule, self._event(run, plan, delivery, fetched), at)
        if changed is not None:
            return NotWanted(reason=Reason.PLAN_CHANGED, detail=changed)
        return StillWanted(at=at)

    def _event(self, run: Run, plan: Plan, delivery: Delivery, fetched: FetchedTicket) -> TicketEvent:
        """Return the event that started a run, with the ticket as it is now."""
        source = self._connections().sources[run.ticket.source]
        told = None
        if source.trust is Trust.PAYLOAD and delivery.payload:
            try:
                told = source.system.parse_event(delivery)
            except BridgeError:
                told = None
        if isinstance(told, TicketEvent):
            return replace(told, ticket=fetched.ticket, fields=fetched.fields)
        entry = next((one for one in fetched.history if abs(one.at - plan.occurred_at) <= _SAME_MOMENT), None)
        return TicketEvent(
            ref=run.ticket,
            ticket=fetched.ticket,
            kind=EventKind.UPDATED,
            actor=entry.actor if entry else None,
            fields=fetched.fields,
            changes=entry.changes if entry else (),
            change_key=entry.key if entry else None,
            occurred_at=plan.occurred_at,
            payload=fetched.payload,
        )


def has_to_be_read(plan: Plan, parts: tuple[Part, ...]) -> bool:
    """Say whether a plan goes only while its ticket still asks for it: one that needs approval."""
    return needs_approval(plan, len({device.uid for part in parts for device in part.devices}))


def _now_and_delivery(tx: Tx, *, run: Run) -> tuple[datetime, Delivery]:
    return tx.now, queries.whole_delivery(tx, delivery=run.delivery)
