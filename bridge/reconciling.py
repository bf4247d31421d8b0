"""Asks ticket systems for the changes whose webhook never came, and takes in what they asked for.

It must not act on anything older than `max_age`, nor on what was there before it first asked.
"""

import hashlib
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from bridge.connections import Connections
from bridge.errors import BridgeError, Reason
from bridge.fetching import Fetching
from bridge.judging import Judging
from bridge.ledger import Ledger, accepting, recovering, watches
from bridge.mapping.language import MappingSet
from bridge.models import Delivery, DeliveryId, FetchedTicket, Json, Mode, NotRead, SourceName
from bridge.ticketing import ChangedTicket

log = structlog.get_logger(__name__)

LOOK_SECONDS = 5.0
# A search may show a change minutes after it was made, and two clocks may be minutes apart.
MARGIN = timedelta(minutes=10)
# What changed so lately may still have its webhook under way; it is looked at in a later round.
UNDER_WAY = timedelta(seconds=30)
# Tickets that are read in one round; the next round goes on where this one ended.
MOST = 100


class Reconciling:
    """One thread of a worker; `run` returns when `stopping` is set. A round reads `most` tickets."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        connections: Callable[[], Connections],
        mapping_set: Callable[[], MappingSet | None],
        judging: Judging,
        fetching: Fetching,
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
        max_age: timedelta,
        most: int = MOST,
    ) -> None:
        self._ledger = ledger
        self._connections = connections
        self._mapping_set = mapping_set
        self._judging = judging
        self._fetching = fetching
        self._clock = clock
        self._new_id = new_id
        self._max_age = max_age
        self._most = most

    def run(self, stopping: threading.Event) -> None:
        """Go on until told to stop, whatever a single look meets."""
        while not stopping.is_set():
            try:
                self.reconcile(stopping)
            except BridgeError as error:
                log.warning("reconciling.postponed", reason=type(error).__name__)
            except Exception:
                # One source that cannot be asked must not end the asking of all others.
                log.exception("reconciling.failed")
            stopping.wait(LOOK_SECONDS)

    def reconcile(self, stopping: threading.Event) -> None:
        """Ask each source whose turn it is; only one worker has it (rules A1 to A3 hold as for a webhook)."""
        for name, source in self._connections().sources.items():
            if source.reconcile is None or not self._concerns(name) or not self._judging.may_judge(name):
                continue
            turn = self._ledger.write(watches.take_turn, source=name, every=source.reconcile)
            if turn is not None:
                reached = self._round(name, turn.reached_at, stopping)
                self._ledger.write(watches.reach, source=name, at=reached)

    def _concerns(self, source: SourceName) -> bool:
        """Say whether a mapping of a source would do anything."""
        mapping_set = self._mapping_set()
        active = (Mode.LIVE, Mode.ANNOUNCE)
        return mapping_set is not None and any(
            rule.source == source and rule.mode in active for rule in mapping_set.mappings
        )

    def _round(self, source: SourceName, reached: datetime | None, stopping: threading.Event) -> datetime:
        """Look at what changed, the oldest first; return up to where that was done."""
        began = self._clock()
        if reached is None:
            # What changed before it was ever asked for is not ours to begin; ServiceNow counts whole seconds.
            return began.replace(microsecond=0)
        since = max(reached, began - self._max_age)
        listed = self._fetching.changed(source, since)
        if isinstance(listed, NotRead):
            log.warning("reconciling.not_listed", source=source, reason=listed.reason)
            # More than can be listed would be more the next time; it is given up so that it goes on.
            return began - MARGIN if listed.reason is Reason.ANSWER_TOO_LARGE else since
        for number, changed in enumerate(listed):
            if number == self._most or stopping.is_set():
                # Of more than that in one moment the rest is passed over rather than asked for for ever.
                return changed.at if changed.at > since else since + timedelta(seconds=1)
            if began - changed.at >= UNDER_WAY:
                self._guarded(changed, since)
        return max(since, began - MARGIN)

    def _guarded(self, changed: ChangedTicket, since: datetime) -> None:
        try:
            self._look_at(changed, since)
        except BridgeError:
            raise
        except Exception:
            # One ticket that cannot be judged must not keep all that changed after it waiting.
            log.exception("reconciling.ticket_failed", source=changed.ref.source)
            self._wait(changed)

    def _look_at(self, changed: ChangedTicket, since: datetime) -> None:
        fetched = self._fetching.ticket(changed.ref, since)
        now = self._clock()
        if isinstance(fetched, NotRead):
            if not fetched.gone:
                self._wait(changed)
            return
        self._take_in(_missed(changed, received_at=now, payload=fetched.payload), fetched, since)

    def _wait(self, changed: ChangedTicket) -> None:
        """Have a ticket tried again as one that rang when it changed."""
        self._ledger.write(
            accepting.accept,
            delivery_id=DeliveryId(f"d{self._new_id()}"),
            delivery=_missed(changed, received_at=min(changed.at, self._clock()), payload=None),
            verdict=None,
            ticket=changed.ref,
        )

    def _take_in(self, delivery: Delivery, fetched: FetchedTicket, since: datetime) -> None:
        delivery_id = DeliveryId(f"d{self._new_id()}")
        judged = self._ledger.read(recovering.judged_since, ticket=fetched.ref, since=since - MARGIN)
        verdict = self._judging.of_ticket(
            delivery_id, delivery, fetched, since=since, read_at=delivery.received_at, judged=judged
        )
        if verdict is None or not verdict.runs:
            return
        accepted = self._ledger.write(
            recovering.accept_missed, delivery_id=delivery_id, delivery=delivery, verdict=verdict
        )
        if accepted is not None:
            log.warning(
                "delivery.recovered",
                source=delivery.source,
                delivery=accepted.delivery,
                runs=len(accepted.runs),
            )


def _missed(changed: ChangedTicket, *, received_at: datetime, payload: Json) -> Delivery:
    key = f"recovered:{changed.ref.uid}:{changed.at.isoformat()}"
    return Delivery(
        source=changed.ref.source,
        key=key,
        digest=hashlib.sha256(key.encode()).hexdigest(),
        timed=True,
        payload=payload,
        received_at=received_at,
        signed=False,
        recovered=True,
    )
