"""Web and workers killed at random moments while outside systems fail, on SQLite and PostgreSQL.

No order of events is chosen here; at the end the simulated systems are asked what really happened.
"""

import random
import time
from collections import Counter
from typing import Any

import pytest

from bridge.ledger import queries
from bridge.models import CommentState, DeliveryState, RunState

pytestmark = pytest.mark.journey

TICKETS = 60
CHAOS_SECONDS = 15.0
RUN = "/api/remoteaction/v2/run"
COMMENT = {"method": "POST", "path": "*/comment"}
SETTLED = {RunState.ANSWERED, RunState.UNKNOWN, RunState.DEAD}


@pytest.fixture
def seed() -> int:
    """A new one every time; a failure prints it."""
    return time.time_ns() % 1_000_000


def stories(bridge: Any) -> list[Any]:
    runs = bridge.ledger.read(queries.list_runs, limit=1_000)
    return [bridge.ledger.read(queries.run_story, run=run.id) for run in runs]


def misbehave(bridge: Any) -> None:
    bridge.nexthink.fault("reset_after_read", path=RUN, skip=4, times=3)
    bridge.nexthink.fault("status", status=429, retry_after="1", path=RUN, skip=2, times=2)
    bridge.nexthink.fault("delay", path=RUN, seconds=0.3, times=60)
    bridge.nexthink.fault("status", status=503, path="/nxql/*", skip=8, times=2)
    bridge.jira.fault("reset_after_read", skip=1, times=4, **COMMENT)
    bridge.jira.fault("status", status=503, skip=2, times=4, **COMMENT)
    bridge.jira.fault("delay", seconds=0.5, times=30, **COMMENT)


def is_up(bridge: Any, name: str) -> bool:
    """Say whether a process does its work already: one that only starts would die for nothing."""
    if name == "web":
        return bool(bridge.ask("/readyz")[0] == 200)
    return bridge.processes[name].pid in bridge.session_pids()


def chaos(bridge: Any, chance: random.Random) -> Counter[str]:
    """Create tickets and kill processes at random moments; return how often which one was killed."""
    began = time.monotonic()
    waiting = [f"SUP-{90_000 + number}" for number in range(1, TICKETS + 1)]
    kills: Counter[str] = Counter()
    next_kill = began + chance.uniform(0.5, 2.0)
    while (now := time.monotonic()) < began + CHAOS_SECONDS:
        while waiting and (TICKETS - len(waiting)) / TICKETS < (now - began) / CHAOS_SECONDS:
            key = waiting.pop()
            device = f"WS-LAB-{int(key[-5:]) - 90_000:05}"
            bridge.ticket(key=key, devices=(device,), wait=False, copies=chance.randint(1, 2))
        if now > next_kill:
            victim = chance.choice(("web", "worker", "second", "worker", "second"))
            if is_up(bridge, victim):
                bridge.kill(victim)
                kills[victim] += 1
                bridge.spawn_web() if victim == "web" else bridge.spawn_worker(victim)
                next_kill = now + chance.uniform(1.0, 3.0)
        time.sleep(chance.uniform(0.02, 0.2))
    return kills


def settle(bridge: Any) -> None:
    """Let everything that waits come to its end; the waits themselves are skipped."""
    for system in (bridge.nexthink, bridge.jira):
        system.clear_faults()
    for _round in range(6):
        # No request may be under way while time is moved, as none would be after so long.
        for name in ("worker", "second"):
            if bridge.running(name):
                bridge.terminate(name)
        bridge.pass_time("comments", "posting_until", "due_at", seconds=3_600)
        bridge.pass_time("runs", "due_at", seconds=3_600)
        bridge.start_worker()
        ends = time.monotonic() + 8
        while time.monotonic() < ends:
            if all_settled(bridge):
                return
            time.sleep(0.2)
    open_runs = [
        (story.run.state, story.run.reason, [comment.state for comment in story.comments])
        for story in stories(bridge)
        if story.run.state not in SETTLED
    ]
    raise AssertionError(f"not settled: {open_runs}")


def all_settled(bridge: Any) -> bool:
    figures = bridge.ledger.read(queries.figures)
    return not figures.pending_deliveries and all(
        story.run.state in SETTLED
        and story.comments
        and all(comment.state is CommentState.POSTED for comment in story.comments)
        for story in stories(bridge)
    )


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_whatever_is_killed_when_both_promises_hold(install, tmp_path, kind, seed):
    print("seed", seed)
    chance = random.Random(seed)
    # Few calls at a time, so that a kill cannot make most of the runs unknown in one stroke.
    with install(tmp_path, kind, MAX_IN_FLIGHT="3") as bridge:
        bridge.nexthink.reset()
        bridge.jira.call("POST", "reset")
        bridge.start_web()
        bridge.start_worker("worker")
        bridge.start_worker("second")
        misbehave(bridge)
        kills = chaos(bridge, chance)
        print("kills", dict(kills))
        if not bridge.running("web"):
            bridge.spawn_web()
        bridge.soon(lambda: bridge.ask("/readyz")[0] == 200, seconds=60)
        time.sleep(1.0)  # for the last tries of the senders
        settle(bridge)
        check_actions(bridge)
        check_deliveries(bridge)
        check_comments(bridge)
        assert kills.total() >= 3


def check_actions(bridge: Any) -> None:
    """An action is sent at most once, what is not known is called unknown, and most is known."""
    witness = bridge.nexthink.calls()
    assert set(witness["by_request_uid"].values()) <= {1}
    assert set(witness["executed_by_device_and_action"].values()) <= {1}
    executed = {call["request_uid"].partition("-")[0] for call in witness["calls"] if call["executed"]}
    states = {story.run.id: story.run.state for story in stories(bridge)}
    assert executed <= set(states)
    assert {run for run, state in states.items() if state is RunState.ANSWERED} <= executed
    assert {states[run] for run in executed} <= {RunState.ANSWERED, RunState.UNKNOWN}
    found = Counter(states.values())
    print("runs", dict(found), "executed", len(executed))
    assert found[RunState.ANSWERED] > len(states) / 2


def check_deliveries(bridge: Any) -> None:
    """What was answered with 200 is there, with exactly one run for its ticket."""
    accepted = {
        attempt["body"].partition('"key": "')[2].partition('"')[0]
        for attempt in bridge.jira.deliveries()
        if attempt["status"] == 200
    }
    keys = Counter(story.run.ticket.key for story in stories(bridge))
    assert len(accepted) > TICKETS / 2
    lost = {key for key in accepted if key.startswith("SUP-9")} - set(keys)
    assert lost == set()
    assert set(keys.values()) == {1}
    lines = bridge.ledger.read(queries.list_deliveries, limit=1_000)
    assert {line.state for line in lines} == {DeliveryState.EVALUATED}


def check_comments(bridge: Any) -> None:
    """Every comment that is owed stands in its ticket, and stands once; an unknown is told."""
    texts = [comment["text"] for comment in bridge.jira.comments()]
    for story in stories(bridge):
        for comment in story.comments:
            assert sum(comment.owed.marker in text for text in texts) == 1, comment.owed.marker
        occasions = {comment.owed.occasion.value for comment in story.comments}
        wanted = {RunState.ANSWERED: {"answered", "late"}, RunState.UNKNOWN: {"unknown"}}
        assert occasions & wanted.get(story.run.state, {"dead"})
