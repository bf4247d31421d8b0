"""Rule W4 and the ways in which a worker stops, with its own threads, on SQLite and PostgreSQL."""

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bridge.bootstrap import new_id
from bridge.catching_up import CatchingUp
from bridge.errors import Reason
from bridge.fetching import Fetching
from bridge.judging import Judging
from bridge.ledger import in_force, queries
from bridge.models import CallResult, CallState, CommentState, DeviceKey, PortalName, RunId, RunState
from bridge.portal_care import FAILURES, PROBE_SECONDS, PortalCare
from bridge.resolving import Later
from bridge.sandbox import credentials as known
from bridge.sandbox.client import NexthinkControl, wait_for
from bridge.sandbox.running import Sandbox
from bridge.telling import Telling
from bridge.undertaking import Undertaking
from bridge.worker import Worker

MAIN, HUNG = PortalName("main"), PortalName("hung")
RUN = "/api/remoteaction/*"


@contextmanager
def silent_listener() -> Iterator[int]:
    """A port whose connections are taken by the kernel and never answered, until the context ends."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield listener.getsockname()[1]


def portal_settings(name: str, url: str) -> dict[str, str]:
    return {
        f"PORTALS__{name}__BASE_URL": url,
        f"PORTALS__{name}__USERNAME": known.NEXTHINK_USERNAME,
        f"PORTALS__{name}__PASSWORD": known.NEXTHINK_PASSWORD,
    }


@pytest.fixture
def work(clock: Any) -> Callable[..., Any]:
    """Run a worker over a house; it is stopped and drained when the context ends."""
    clock.now = datetime.now(UTC)

    @contextmanager
    def working(
        mine: Any, *, paused: Callable[[], bool] = lambda: False, grace: float = 20
    ) -> Iterator[Worker]:
        stopping = threading.Event()
        portal_care = PortalCare(probe=probe_of(mine), monotonic=lambda: 0.0)
        mine.acting._noted = portal_care.note
        mine.acting._stopping = stopping.is_set
        judging = Judging(
            connections=lambda: mine.connections,
            mapping_set=lambda: None,
            accounts=dict,
            new_id=new_id,
        )
        catching_up = CatchingUp(
            ledger=mine.ledger,
            connections=lambda: mine.connections,
            accounts=lambda: mine.ledger.read(in_force.own_accounts),
            judging=judging,
            fetching=Fetching(connections=lambda: mine.connections),
            clock=mine.clock,
            jitter=lambda: 0.0,
            max_age=timedelta(hours=24),
        )
        worker = Worker(
            ledger=mine.ledger,
            connections=lambda: mine.connections,
            acting=mine.acting,
            telling=Telling(
                ledger=mine.ledger, connections=lambda: mine.connections, clock=mine.clock, jitter=lambda: 0.0
            ),
            undertaking=Undertaking(
                ledger=mine.ledger,
                connections=lambda: mine.connections,
                new_id=new_id,
                monotonic=lambda: 0.0,
                beat_seconds=0.2,
            ),
            background={"catching-up": catching_up.run},
            portal_care=portal_care,
            paused_here=paused,
            max_in_flight=4,
            comment_senders=2,
            beat_seconds=0.2,
            stopping=stopping,
        )
        thread = threading.Thread(target=worker.run)
        thread.start()
        try:
            yield worker
        finally:
            worker.stop()
            thread.join(20)
            worker.drain(grace)

    return working


def probe_of(mine: Any) -> Callable[[PortalName], Reason | None]:
    def probe(portal: PortalName) -> Reason | None:
        answer = mine.resolving.ask_engines(portal)
        return answer.reason if isinstance(answer, Later) else None

    return probe


def posting(mine: Any, runs: list[RunId]) -> int:
    comments = [comment for run in runs for comment in mine.story(run).comments]
    return sum(comment.state is CommentState.POSTING for comment in comments)


def test_w3_where_nothing_can_be_admitted_with_its_claim_runs_are_claimed_alone(house, work, jira):
    mine = house()
    run = mine.ask()
    given, seen = mine.acting._mapping_set, []

    def rules() -> Any:
        seen.append(mine.state(run))
        if len(seen) == 1:
            raise ValueError("what nobody foresaw")
        return given()

    mine.acting._mapping_set = rules
    with work(mine):
        wait_for(lambda: len(jira.comments()) == 1)
    assert mine.state(run) is RunState.ANSWERED
    # The first look failed before anything was claimed, and the run went the long way at once.
    assert seen[:2] == [RunState.QUEUED, RunState.CLAIMED]


def test_w3_a_claim_that_could_not_be_handed_over_is_given_back_though_nothing_else_waits(house, work, jira):
    class Refusing(ThreadPoolExecutor):
        def submit(self, *given: Any, **named: Any) -> Any:
            if not refused:
                refused.append(given)
                raise RuntimeError("can't start new thread")
            return super().submit(*given, **named)

    mine, refused = house(), []
    with work(mine) as worker, Refusing(2) as senders:
        # By now it has found nothing, and looks before it claims.
        wait_for(lambda: worker._found_nothing)
        worker._senders = senders
        run = mine.ask()
        wait_for(lambda: len(jira.comments()) == 1)
    assert refused
    assert mine.state(run) is RunState.ANSWERED


def test_w4_a_portal_that_hangs_holds_up_neither_another_one_nor_comments(house, work, nexthink, jira):
    with silent_listener() as port:
        mine = house(MAX_IN_FLIGHT="4", **portal_settings("HUNG", f"http://127.0.0.1:{port}"))
        hung = [
            mine.ask(portal=HUNG, by=DeviceKey.UID, devices=(f"{number:032x}",), timeout_seconds=1)
            for number in range(6)
        ]
        with work(mine, grace=0):
            wait_for(lambda: sum(mine.state(run) is RunState.CLAIMED for run in hung) == 2)
            good = [mine.ask() for _ in range(5)]
            wait_for(lambda: len(jira.comments()) == 5)
            assert {mine.state(run) for run in good} == {RunState.ANSWERED}
            # The cap of the portal: half of the senders, since there are two portals.
            assert sum(mine.state(run) is RunState.CLAIMED for run in hung) == 2


def test_w4_a_ticket_system_that_hangs_leaves_posters_to_another(house, work, jira):
    with silent_listener() as port:
        mine = house(SOURCES__DESK__BASE_URL=f"http://127.0.0.1:{port}")
        hung = [mine.ask(source="desk") for _ in range(4)]
        with work(mine, grace=0):
            wait_for(lambda: posting(mine, hung) == 1)
            mine.ask()
            wait_for(lambda: len(jira.comments()) == 1)
            assert posting(mine, hung) == 1


def test_w4_claims_never_exceed_the_senders_that_start_at_once(house, work, nexthink):
    mine = house()
    nexthink.answer(code="ok", seconds=0.8)
    runs = [mine.ask() for _ in range(7)]
    with work(mine):
        wait_for(lambda: len(nexthink.calls()["calls"]) == 4)
        states = sorted(mine.state(run).value for run in runs)
        assert states == ["queued"] * 3 + ["sending"] * 4
        wait_for(lambda: all(mine.state(run) is RunState.ANSWERED for run in runs))


def test_a_paused_host_claims_no_run_and_goes_on_posting(house, work, nexthink, jira):
    mine = house()
    told = mine.ask()
    mine.work()
    waiting = mine.ask()
    paused = threading.Event()
    paused.set()
    with work(mine, paused=paused.is_set):
        wait_for(lambda: len(jira.comments()) == 1)
        assert mine.state(waiting) is RunState.QUEUED
        paused.clear()
        wait_for(lambda: mine.state(waiting) is RunState.ANSWERED)
    assert mine.state(told) is RunState.ANSWERED


def test_draining_lets_a_call_end_and_claims_nothing_more(house, work, nexthink):
    mine = house()
    nexthink.answer(code="ok", seconds=0.6)
    first = mine.ask()
    with work(mine) as worker:
        wait_for(lambda: nexthink.calls()["calls"])
        worker.stop()
        second = mine.ask()
        assert worker.drain(10) == 0
    assert mine.state(first) is RunState.ANSWERED
    assert mine.state(second) is RunState.QUEUED
    assert {line.id for line in mine.ledger.read(queries.figures).sessions} == {"s1"}


def test_a_drain_whose_time_is_over_says_what_it_leaves(house, work, nexthink):
    mine = house()
    nexthink.answer(code="ok", seconds=1.0)
    run = mine.ask()
    with work(mine, grace=0) as worker:
        wait_for(lambda: nexthink.calls()["calls"])
        worker.stop()
        assert worker.drain(0.1) == 1
        mine.undertaking(lambda: 0.0).tick()
        assert mine.state(run) is RunState.UNKNOWN
        wait_for(lambda: mine.state(run) is RunState.ANSWERED)
    assert mine.occasions(run) == ["unknown", "late"]


# ── the care of portals ──────────────────────────────────────────────────────────────────────────────────

NOT_REACHED = CallResult(state=CallState.NOT_SENT, reason=Reason.NOT_CONNECTED)


def test_w4_failures_to_connect_close_a_portal_and_a_read_that_never_is_an_action_opens_it(house):
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
    now = [0.0]
    mine = house(PORTALS__MAIN__BASE_URL=f"http://127.0.0.1:{port}")
    care = PortalCare(probe=probe_of(mine), monotonic=lambda: now[0])
    mine.acting._noted = care.note
    for _ in range(FAILURES):
        assert care.takes_work(MAIN)
        run = mine.ask()
        mine.work()
        assert mine.state(run) is RunState.QUEUED
    assert not care.takes_work(MAIN)
    care.probe_if_due(MAIN)
    assert not care.takes_work(MAIN)
    with Sandbox(nexthink_port=port) as back:
        care.probe_if_due(MAIN)
        assert not care.takes_work(MAIN)  # the last question was just now
        now[0] += PROBE_SECONDS
        care.probe_if_due(MAIN)
        assert care.takes_work(MAIN)
        portal = NexthinkControl(url=back.nexthink_url)
        assert portal.calls()["calls"] == []
        assert [seen["method"] for seen in portal.requests()] == ["GET"]


def test_w4_a_call_that_got_through_forgets_the_failures_before_it():
    care = PortalCare(probe=lambda portal: None, monotonic=lambda: 0.0)
    for _ in range(FAILURES - 1):
        care.note(MAIN, NOT_REACHED)
    care.note(MAIN, CallResult(state=CallState.UNKNOWN, reason=Reason.CONNECTION_LOST))
    care.note(MAIN, NOT_REACHED)
    assert care.takes_work(MAIN)


def test_w4_a_portal_that_answers_anything_at_all_is_open_again():
    now = [0.0]
    answers: list[Reason | None] = [Reason.DEADLINE, Reason.UNAUTHORIZED]
    care = PortalCare(probe=lambda portal: answers.pop(0), monotonic=lambda: now[0])
    for _ in range(FAILURES):
        care.note(MAIN, NOT_REACHED)
    care.probe_if_due(MAIN)
    assert not care.takes_work(MAIN)
    now[0] += PROBE_SECONDS
    care.probe_if_due(MAIN)
    assert care.takes_work(MAIN)
    assert care.takes_work(HUNG)
