"""A worker: claims runs and comments for free senders only, keeps its session alive, and stops with grace.

It must not know what an action or a comment is about. Rules W1 and W4.
"""

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import structlog

from bridge.acting import Acting
from bridge.connections import Connections
from bridge.dispatching import Begun
from bridge.errors import LedgerUnavailable
from bridge.ledger import Ledger, Tx, claiming, outbox
from bridge.ledger.claiming import Allowance
from bridge.ledger.waking import Waker
from bridge.models import Comment, Run, SessionId, SourceName
from bridge.portal_care import PortalCare
from bridge.telling import POSTING, Telling
from bridge.undertaking import Undertaking

log = structlog.get_logger(__name__)

# Seconds between two looks where no change of the ledger wakes us: due times come by themselves.
POLL_SECONDS = 2.0
# Seconds between two claims: what comes in a burst is claimed together.
CLAIM_SECONDS = 0.05
# What one claim takes at most: each run then waits for its intent's commit, and gives up after some seconds.
CLAIMED_AT_ONCE = 64
# Seconds for a claim that is under way when we are told to stop: what it takes is waited for like the rest.
RETURN_SECONDS = 2.0
# Seconds for closing the session. Where the ledger hangs, others find that its beat stands still.
CLOSE_SECONDS = 3.0


class Worker:
    """One worker session with its senders; `run` returns once it was told to `stop` and has stopped.

    `paused_here` says whether this host may send (BRIDGE_PAUSED, the pause file); comments go on.
    `background` are the threads beside the beat, by name: each goes on until the event is set.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        connections: Callable[[], Connections],
        acting: Acting,
        telling: Telling,
        undertaking: Undertaking,
        background: Mapping[str, Callable[[threading.Event], None]],
        portal_care: PortalCare,
        paused_here: Callable[[], bool],
        max_in_flight: int,
        comment_senders: int,
        beat_seconds: float,
        stopping: threading.Event,
    ) -> None:
        self._ledger = ledger
        self._connections = connections
        self._acting = acting
        self._telling = telling
        self._undertaking = undertaking
        self._background = background
        self._portal_care = portal_care
        self._paused_here = paused_here
        self._max_in_flight = max_in_flight
        self._comment_senders = comment_senders
        self._beat_seconds = beat_seconds
        self._stopping = stopping
        self._returned = threading.Event()
        self._lock = threading.Lock()
        # By claim, for a run that was given back may be claimed again before its sender has come free.
        self._in_flight: dict[int, Run] = {}
        self._numbers = itertools.count()
        self._claim_in_doubt = False
        self._posting: Counter[SourceName] = Counter()
        self._more_waits = self._found_nothing = False
        self._waker = Waker(ledger.engine, stopping.is_set)
        self._senders = ThreadPoolExecutor(max_workers=max_in_flight, thread_name_prefix="sender")
        self._posters = ThreadPoolExecutor(max_workers=comment_senders, thread_name_prefix="poster")
        self._probers = ThreadPoolExecutor(max_workers=2, thread_name_prefix="prober")

    def run(self) -> None:
        """Work until told to stop."""
        try:
            self._work()
        finally:
            self._returned.set()

    def _work(self) -> None:
        self._undertaking.open()
        threads = [
            threading.Thread(target=self._beat, name="beat", daemon=True),
            *(
                threading.Thread(target=run, args=(self._stopping,), name=name, daemon=True)
                for name, run in self._background.items()
            ),
        ]
        for thread in threads:
            thread.start()
        log.info("worker.started", session=self._undertaking.session)
        while not self._stopping.is_set():
            try:
                # Set before the claims: a sender that comes free meanwhile must not go unheard.
                self._more_waits = True
                self._more_waits = self._claim()
            except LedgerUnavailable as error:
                log.warning("worker.ledger_unavailable", reason=str(error))
                self._stopping.wait(1.0)
            except Exception:
                log.exception("worker.not_claimed")
                self._stopping.wait(1.0)
            self._stopping.wait(CLAIM_SECONDS)
            self._waker.wait(POLL_SECONDS)
        self._waker.close()

    def stop(self) -> None:
        """Claim nothing more; `run` returns soon after. Takes locks, so no signal handler may call it."""
        self._stopping.set()
        self._waker.nudge()

    def drain(self, grace_seconds: float) -> int:
        """Wait for what is under way, then close the session; return how many calls were left behind.

        The beat goes on meanwhile, so that nobody takes us for dead. Whatever `run`, the calls or the ledger
        hang on, this returns a few seconds after the grace at the latest.
        """
        ends = time.monotonic() + grace_seconds
        self._returned.wait(RETURN_SECONDS)
        while self._under_way() and time.monotonic() < ends:
            time.sleep(0.05)
        left = self._under_way()
        if self._undertaking.session:
            closing = threading.Thread(target=self._close, name="closing", daemon=True)
            closing.start()
            closing.join(CLOSE_SECONDS)
            if closing.is_alive():
                log.warning("worker.session_left_open", session=self._undertaking.session)
        log.info("worker.stopped", session=self._undertaking.session, count=left)
        return left

    def _close(self) -> None:
        try:
            self._undertaking.close()
        except LedgerUnavailable:
            log.warning("worker.session_left_open", session=self._undertaking.session)

    def _under_way(self) -> int:
        with self._lock:
            return len(self._in_flight) + self._posting.total()

    def _beat(self) -> None:
        while True:
            try:
                self._undertaking.tick()
            except LedgerUnavailable as error:
                log.warning("worker.no_beat", reason=str(error))
            except Exception:
                # A beat that ends for any reason would let others take our runs from us.
                log.exception("worker.no_beat")
            time.sleep(self._beat_seconds)

    def _claim(self) -> bool:
        """Hand what is due to free senders and posters; return True where more may be due than had room.

        Both are claimed in one transaction: most of what a claim costs is its commit.
        """
        connections = self._connections()
        for portal in connections.portals:
            if not self._portal_care.takes_work(portal):
                self._probers.submit(self._portal_care.probe_if_due, portal)
        # Other processes commit all the time without a reason for us: whoever found nothing looks first.
        found_nothing, self._found_nothing = self._found_nothing, False
        if found_nothing and not self._ledger.read(claiming.is_there_work):
            self._found_nothing = True
            return self._free() == 0
        paused = self._paused_here()
        allowances = () if paused else self._allowances(connections)
        posters, rooms = self._rooms(connections)
        session = self._undertaking.session
        in_doubt, self._claim_in_doubt = self._claim_in_doubt, True
        if in_doubt:
            with self._lock:
                seen = tuple(run.id for run in self._in_flight.values())
            self._ledger.write(claiming.give_back_unseen, session=session, seen=seen)
        # Whatever went wrong with the last claim: a run that is only claimed fails by itself, where that is
        # counted, and keeps no other back (W3).
        begin = _only_claimed if in_doubt else self._acting.beginning()

        def take(tx: Tx, most: int) -> tuple[list[tuple[Run, Begun | None]], tuple[Comment, ...]]:
            portals = tuple(connections.portals)
            runs = claiming.claim(tx, session=session, allowances=allowances, configured=portals, most=most)
            return (
                [(run, begin(tx, run)) for run in runs],
                outbox.claim_comments(tx, session=session, limit=posters, rooms=rooms, lasting=POSTING),
            )

        runs, comments = self._ledger.write(take, min(self._free(), CLAIMED_AT_ONCE))
        for run, begun in runs:
            self._hand_over(run, begun)
        for comment in comments:
            with self._lock:
                self._posting[comment.ticket.source] += 1
            self._posters.submit(self._post, comment, session)
        self._claim_in_doubt = False
        self._found_nothing = not runs and not comments
        taken = Counter(run.plan.portal for run, _begun in runs if run.plan)
        filled = any(each.portal is not None and taken[each.portal] >= each.runs for each in allowances)
        if len(runs) >= CLAIMED_AT_ONCE:
            self._waker.nudge()
        return len(comments) >= posters or (not paused and (filled or self._free() == 0))

    def _allowances(self, connections: Connections) -> tuple[Allowance, ...]:
        """Say how many runs each portal may have, so that one that is slow cannot take all senders (W4).

        Together they may be more than are free: a portal without work must not keep senders from another. The
        one with the fewest calls under way comes first.
        """
        free = self._free()
        with self._lock:
            busy = Counter(run.plan.portal for run in self._in_flight.values() if run.plan)
        allowances: list[Allowance] = []
        for name, portal in sorted(connections.portals.items(), key=lambda entry: busy[entry[0]]):
            room = min(free, portal.max_in_flight - busy[name])
            if room > 0 and self._portal_care.takes_work(name):
                allowances.append(Allowance(portal=name, runs=room))
        if free > 0:
            allowances.append(Allowance(portal=None, runs=1))
        return tuple(allowances)

    def _hand_over(self, run: Run, begun: Begun | None) -> None:
        number = next(self._numbers)
        with self._lock:
            self._in_flight[number] = run
        try:
            self._senders.submit(self._act, number, run, begun)
        except RuntimeError:
            # There is no thread for it. Nobody has it in hand, so the next claim gives it back.
            with self._lock:
                del self._in_flight[number]
            raise

    def _free(self) -> int:
        with self._lock:
            return self._max_in_flight - len(self._in_flight)

    def _act(self, number: int, run: Run, begun: Begun | None) -> None:
        try:
            self._acting.act(run, begun)
        finally:
            with self._lock:
                del self._in_flight[number]
            self._came_free()

    def _rooms(self, connections: Connections) -> tuple[int, dict[SourceName, int]]:
        """Return how many comments there is room for, together and of each source, the least busy first."""
        with self._lock:
            busy = Counter(self._posting)
        sources = sorted(connections.sources, key=lambda source: busy[source])
        # A ticket system that hangs must leave a poster to each of the others.
        most = max(1, self._comment_senders - (len(sources) - 1))
        return self._comment_senders - busy.total(), {source: most - busy[source] for source in sources}

    def _post(self, comment: Comment, session: SessionId) -> None:
        try:
            self._telling.post(comment, session)
        except Exception:
            # The row stays `posting` and is taken again, as one that may stand, once its time is over.
            log.exception("comment.failed", run=comment.run)
        finally:
            with self._lock:
                self._posting[comment.ticket.source] -= 1
            self._came_free()

    def _came_free(self) -> None:
        if self._more_waits:
            self._waker.nudge()


def _only_claimed(_tx: Tx, _run: Run) -> None:
    """Admit nothing with its claim."""
