"""Evaluates the deliveries that had to wait, reads their tickets first, and asks who we are (A3, A4).

It must not evaluate by other rules than the receiver; both use the same `Judging`.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import structlog

from bridge import retries
from bridge.connections import Connections
from bridge.errors import BridgeError, LedgerUnavailable, LostOwnership, Reason
from bridge.events import LOOK_BACK
from bridge.fetching import Fetching
from bridge.judging import Judging
from bridge.ledger import Ledger, accepting, in_force, pending, recovering
from bridge.ledger.accepting import Verdict
from bridge.ledger.pending import Pending
from bridge.models import NoResponse, NotRead, Person, SourceName, TicketRef
from bridge.telling import REQUEST_SECONDS

log = structlog.get_logger(__name__)

LOOK_SECONDS = 1.0
# The same where the last look left something behind.
BUSY_SECONDS = 0.05
# Seconds between two tries to learn our own account.
ASK_SECONDS = 30.0
BATCH = 16
# How long a delivery stands aside that could not be judged.
ASIDE = timedelta(minutes=1)
WAIT = timedelta(seconds=2)
# Tickets of one source that a worker reads at the same time; a source that hangs keeps no other waiting.
READERS = 4
# Longer than READERS take for a batch, each ticket for READ_SECONDS; after a crash the batch waits so long.
LEASE = timedelta(minutes=5)
# A system may ring a moment before it shows the ticket to others; only after this it counts as gone.
GONE_AFTER = timedelta(minutes=2)


class CatchingUp:
    """One thread of a worker, with readers for each source; `run` returns when `stopping` is set.

    A ticket that cannot be read is tried again with growing waits until `max_age` after its ring: by then
    every run would be too old. `jitter` gives a number in [0, 1).
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        connections: Callable[[], Connections],
        accounts: Callable[[], Mapping[SourceName, Person]],
        judging: Judging,
        fetching: Fetching,
        clock: Callable[[], datetime],
        jitter: Callable[[], float],
        max_age: timedelta,
    ) -> None:
        self._ledger = ledger
        self._connections = connections
        self._accounts = accounts
        self._judging = judging
        self._fetching = fetching
        self._clock = clock
        self._jitter = jitter
        self._max_age = max_age
        self._reading = retries.calls(max_age)
        self._asked: dict[SourceName, float] = {}
        self._readers: dict[SourceName, ThreadPoolExecutor] = {}
        self._lock = threading.Lock()
        self._under_way: Counter[SourceName] = Counter()

    def run(self, stopping: threading.Event) -> None:
        """Go on until told to stop, whatever a single look meets."""
        while not stopping.is_set():
            more = False
            try:
                self._ask_accounts()
                more = self._judge_pending()
            except BridgeError as error:
                log.warning("catching_up.postponed", reason=type(error).__name__)
            except Exception:
                # One delivery that cannot be judged must not end the judging of all others.
                log.exception("catching_up.failed")
            stopping.wait(BUSY_SECONDS if more else LOOK_SECONDS)
        for readers in self._readers.values():
            readers.shutdown(cancel_futures=True)

    def _ask_accounts(self) -> None:
        for name, source in self._connections().sources.items():
            first = name not in self._asked
            due = first or time.monotonic() - self._asked[name] > ASK_SECONDS
            if not due or (not first and name in self._accounts()):
                continue
            self._asked[name] = time.monotonic()
            response = source.transport.send(source.system.account_request(), deadline=REQUEST_SECONDS)
            if isinstance(response, NoResponse):
                log.warning("account.not_known", source=name, reason=response.reason)
                continue
            account = source.system.read_account(response)
            if isinstance(account, Person):
                self._ledger.write(in_force.put_account, source=name, person=account)
            else:
                log.warning("account.not_known", source=name, reason=account.reason)

    def _judge_pending(self) -> bool:
        """Judge what is due, or hand it to readers; return True where more is due."""
        more = False
        sources = tuple(self._connections().sources)
        for name in self._ledger.read(pending.due_sources, sources=sources):
            if self._under_way[name] >= READERS:
                more = True
                continue
            taken = self._ledger.write(pending.take_pending, source=name, limit=BATCH, lease=LEASE)
            for each in taken:
                if each.ticket is None:
                    self._guarded(self._judge, (each,))
            self._submit(name, [each for each in taken if each.ticket is not None])
            more = more or len(taken) == BATCH
        return more

    def _submit(self, name: SourceName, taken: Sequence[Pending]) -> None:
        """Hand out what needs its ticket: one read, which begins after all of its rings, serves them all."""
        readers = self._readers.setdefault(name, ThreadPoolExecutor(READERS, thread_name_prefix="reader"))
        tickets = dict.fromkeys(each.ticket.uid for each in taken if each.ticket)
        for uid in tickets:
            about = tuple(each for each in taken if each.ticket and each.ticket.uid == uid)
            with self._lock:
                self._under_way[name] += 1
            readers.submit(self._read, name, about)

    def _read(self, name: SourceName, about: tuple[Pending, ...]) -> None:
        try:
            self._guarded(self._judge_read, about)
        finally:
            with self._lock:
                self._under_way[name] -= 1

    def _guarded(self, judge: Callable[[tuple[Pending, ...]], None], about: tuple[Pending, ...]) -> None:
        delay = None
        try:
            judge(about)
        except LedgerUnavailable as error:
            log.warning("catching_up.postponed", reason=type(error).__name__)
            delay = WAIT
        except Exception:
            # What cannot be judged stands aside, so that what is behind it is.
            log.exception("delivery.not_judged", delivery=about[0].id)
            delay = ASIDE
        if delay is not None:
            for each in about:
                if delay == ASIDE and self._clock() - each.delivery.received_at > self._max_age:
                    # By now every run of it would be too old.
                    self._settle(each, _unreadable(each, "it could not be judged: see the log"))
                else:
                    self._ledger.persist(pending.postpone, delivery_id=each.id, delay=delay)

    def _judge(self, about: tuple[Pending, ...]) -> None:
        for each in about:
            self._settle(each, self._judging.of_webhook(each.id, each.delivery))

    def _judge_read(self, about: tuple[Pending, ...]) -> None:
        ticket = about[0].ticket
        assert ticket is not None
        if not self._judging.may_judge(ticket.source):
            for each in about:
                self._settle(each, None)
            return
        sinces = [each.delivery.received_at - LOOK_BACK for each in about]
        fetched = self._fetching.ticket(ticket, min(sinces))
        read_at = self._clock()
        for each, since in zip(about, sinces, strict=True):
            if isinstance(fetched, NotRead):
                self._not_read(each, fetched, read_at)
            else:
                judged = self._judged(fetched.ref, since) if each.delivery.recovered else frozenset()
                verdict = self._judging.of_ticket(
                    each.id, each.delivery, fetched, since=since, read_at=read_at, judged=judged
                )
                self._settle(each, verdict)

    def _judged(self, ticket: TicketRef, since: datetime) -> frozenset[str]:
        """Return which changes of a ticket were judged when their webhooks came."""
        return self._ledger.read(recovering.judged_since, ticket=ticket, since=since)

    def _not_read(self, each: Pending, why: NotRead, now: datetime) -> None:
        received_at = each.delivery.received_at
        again = retries.decide(
            self._reading,
            each.tries + 1,
            now,
            first_at=received_at,
            jitter=self._jitter(),
            retry_after=why.retry_after,
        )
        gone = why.gone and now - received_at > GONE_AFTER
        log.warning("ticket.not_read", source=each.delivery.source, delivery=each.id, reason=why.reason)
        if gone or isinstance(again, retries.GiveUp):
            self._settle(each, _unreadable(each, why.detail))
        else:
            delay = max(again.at - now, timedelta())
            self._ledger.write(pending.postpone, delivery_id=each.id, delay=delay, failed=why.reason)

    def _settle(self, each: Pending, verdict: Verdict | None) -> None:
        if verdict is None:
            self._ledger.write(pending.postpone, delivery_id=each.id, delay=WAIT)
            return
        try:
            self._ledger.write(accepting.judge, delivery_id=each.id, verdict=verdict)
        except LostOwnership:
            log.info("delivery.judged_elsewhere", delivery=each.id)


def _unreadable(each: Pending, detail: str) -> Verdict:
    return Verdict(
        reason=Reason.TICKET_NOT_READ,
        detail=detail,
        ticket=each.ticket,
        findings=[],
        mapping_set=None,
        runs=(),
    )
