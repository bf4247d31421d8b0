"""Constructs a worker over a bridge: its use cases, and the threads that it runs beside the beat.

It must not decide anything that a reader of the settings could not see coming.
"""

import random
import threading
import time
from collections.abc import Callable
from typing import Any

from bridge.acting import Acting
from bridge.bootstrap import Bridge, new_id, retaining, utc_now
from bridge.catching_up import CatchingUp
from bridge.dispatching import DEADLINE_MARGIN, FIRST_BYTE_SECONDS
from bridge.evidence import Sealing
from bridge.keeping import Keeping
from bridge.listening import Listening
from bridge.models import PortalName
from bridge.portal_care import PortalCare
from bridge.reconciling import Reconciling
from bridge.rereading import Rereading
from bridge.resolving import Later, Resolving
from bridge.settings import Settings
from bridge.telling import Telling
from bridge.transport import boot_clock
from bridge.undertaking import Undertaking
from bridge.worker import Worker


def make_worker(bridge: Bridge) -> Worker:
    """Construct a worker over a bridge."""
    settings = bridge.settings.current()
    connections = bridge.watching.connections
    portal_care = PortalCare(probe=_probe(bridge.resolving), monotonic=time.monotonic)
    stopping = threading.Event()
    paused_here = _paused_here(settings)
    jitter = random.Random().random  # noqa: S311 - it spreads retries; nothing secret depends on it
    catching_up = CatchingUp(
        ledger=bridge.ledger,
        connections=connections,
        accounts=bridge.watching.accounts,
        judging=bridge.judging,
        fetching=bridge.fetching,
        clock=utc_now,
        jitter=jitter,
        max_age=settings.max_age,
    )
    reconciling = Reconciling(
        ledger=bridge.ledger,
        connections=connections,
        mapping_set=bridge.watching.mapping_set,
        judging=bridge.judging,
        fetching=bridge.fetching,
        clock=utc_now,
        new_id=new_id,
        max_age=settings.max_age,
    )
    keeping = Keeping(
        ledger=bridge.ledger,
        approving=bridge.approving,
        aside=bridge.aside,
    )
    return Worker(
        ledger=bridge.ledger,
        connections=connections,
        acting=Acting(
            ledger=bridge.ledger,
            connections=connections,
            resolving=bridge.resolving,
            rereading=Rereading(
                ledger=bridge.ledger,
                connections=connections,
                fetching=bridge.fetching,
                mapping_set=bridge.watching.mapping_set,
            ),
            clock=utc_now,
            boot_clock=boot_clock,
            jitter=jitter,
            mapping_set=bridge.watching.mapping_set,
            noted=portal_care.note,
            stopping=lambda: stopping.is_set() or paused_here(),
            aside=bridge.aside,
        ),
        telling=Telling(ledger=bridge.ledger, connections=connections, clock=utc_now, jitter=jitter),
        undertaking=Undertaking(
            ledger=bridge.ledger,
            connections=connections,
            new_id=new_id,
            monotonic=time.monotonic,
            beat_seconds=settings.beat_seconds,
        ),
        background={
            "catching-up": catching_up.run,
            "keeping": keeping.run,
            "retaining": retaining(bridge).run,
            "sealing": Sealing(ledger=bridge.ledger).run,
            "listening": Listening(ledger=bridge.ledger, connections=connections).run,
            "reconciling": reconciling.run,
        },
        portal_care=portal_care,
        paused_here=paused_here,
        max_in_flight=settings.max_in_flight,
        comment_senders=settings.comment_senders,
        beat_seconds=settings.beat_seconds,
        stopping=stopping,
    )


def grace_seconds(bridge: Bridge) -> float:
    """Return how long a stopping worker waits: as set, else the longest timeoutSeconds and 15 s."""
    configured = bridge.settings.current().grace_seconds
    if configured is not None:
        return float(configured)
    mapping_set = bridge.watching.mapping_set()
    timeouts = (
        [action.timeout_seconds for action in mapping_set.catalogue.actions.values()] if mapping_set else []
    )
    return max(timeouts, default=60) + FIRST_BYTE_SECONDS + DEADLINE_MARGIN


def _probe(resolving: Resolving) -> Callable[[PortalName], Any]:
    def probe(portal: PortalName) -> Any:
        answer = resolving.ask_engines(portal)
        return answer.reason if isinstance(answer, Later) else None

    return probe


def _paused_here(settings: Settings) -> Callable[[], bool]:
    def paused() -> bool:
        return settings.paused or (settings.pause_file is not None and settings.pause_file.exists())

    return paused
