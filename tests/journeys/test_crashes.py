"""kill -9 of the real processes at every step between receiving and done, on SQLite and PostgreSQL.

A process is caught at a step by what stands outside of it: an answer that is delayed, a ledger that is
locked, a portal that takes no connection. The simulated portal counts the calls.
"""

import contextlib
import json
import signal
import socket
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.ledger import queries
from bridge.models import CallState, CommentState, RunState
from bridge.worker import POLL_SECONDS

pytestmark = pytest.mark.journey

RUN = "/api/remoteaction/v2/run"
COMMENT = {"method": "POST", "path": "*/comment"}


def sent(bridge: Any) -> list[str]:
    """Return the requestUid of every Act call that the portal received."""
    return [call["request_uid"] for call in bridge.nexthink.calls()["calls"]]


def seen(system: Any, path: str) -> int:
    """Count the requests to a path that were answered or are being answered."""
    return sum(request["path"].endswith(path) for request in system.requests())


def in_time_machine(bridge: Any) -> None:
    """Let the two minutes pass after which a comment that was being posted is taken up again."""
    bridge.pass_time("comments", "posting_until", "due_at", seconds=130)


def tried_once(comment: Any) -> bool:
    """Say whether a comment was refused and is owed again; one never tried is owed too."""
    return comment.state is CommentState.OWED and comment.attempt == 1


def restart(bridge: Any, name: str = "worker") -> None:
    bridge.kill(name)
    bridge.start_worker(name)


# ── the web process ──────────────────────────────────────────────────────────────────────────────────────


def test_killed_right_after_the_200_the_run_is_there_and_is_sent_once(bridge, key, device):
    bridge.kill("worker")
    bridge.ticket(key=key, devices=(device,))
    bridge.kill("web")
    (delivery,) = bridge.deliveries(key)
    assert delivery["status"] == 200
    bridge.start_worker()
    assert bridge.told(key, "answered") == ("answered",)
    assert len(sent(bridge)) == 1


def test_killed_while_the_delivery_is_being_committed_nothing_was_answered_and_the_next_try_counts(
    bridge, key, device
):
    with bridge.locked():
        sender = threading.Thread(target=bridge.ticket, kwargs={"key": key, "devices": (device,)})
        sender.start()
        threading.Event().wait(0.5)
        bridge.kill("web")
    bridge.start_web()
    # The simulated Jira Cloud tries again by itself, as the real one does.
    sender.join(20)
    assert bridge.told(key, "answered") == ("answered",)
    tries = [each["status"] for each in bridge.deliveries(key)]
    assert tries[0] is None
    assert tries[-1] == 200
    assert len(sent(bridge)) == 1
    assert len(bridge.stories(key)) == 1


def test_killed_between_commit_and_200_the_next_try_is_a_duplicate(bridge, key, device):
    bridge.kill("worker")
    bridge.ticket(key=key, devices=(device,))
    (delivery,) = bridge.deliveries(key)
    bridge.kill("web")
    bridge.start_web()
    # What the sender does that did not see the 200: the same headers, the same body.
    assert send_again(bridge, delivery) == "duplicate"
    bridge.start_worker()
    bridge.told(key, "answered")
    assert len(bridge.stories(key)) == 1
    assert len(sent(bridge)) == 1


def send_again(bridge: Any, delivery: Any) -> str:
    request = urllib.request.Request(
        bridge.webhook_url("jira"), data=delivery["body"].encode(), headers=delivery["headers"]
    )
    with bridge.opener.open(request, timeout=10) as answer:
        assert answer.status == 200
        return str(json.loads(answer.read())["status"])


# ── the worker, before the intent ────────────────────────────────────────────────────────────────────────


def test_killed_while_devices_are_looked_up_the_next_worker_sends_once(bridge, key, device):
    bridge.nexthink.fault("delay", path="/nxql/*", seconds=5)
    bridge.ticket(key=key, devices=(device,))
    bridge.reaches(key, RunState.CLAIMED)
    restart(bridge)
    assert bridge.told(key, "answered") == ("answered",)
    assert sent(bridge) == [f"{bridge.story(key).run.id}-1-1"]
    assert bridge.story(key).run.crashes == 0


def test_killed_while_the_intent_is_being_committed_nothing_was_sent_and_the_next_worker_sends_once(
    bridge, key, device
):
    bridge.nexthink.fault("delay", path="/nxql/*", seconds=0.8)
    bridge.ticket(key=key, devices=(device,))
    bridge.reaches(key, RunState.CLAIMED)
    with bridge.locked():
        threading.Event().wait(1.5)
        bridge.kill("worker")
        assert sent(bridge) == []
    assert bridge.story(key).run.state is RunState.CLAIMED
    bridge.start_worker()
    assert bridge.told(key, "answered") == ("answered",)
    assert len(sent(bridge)) == 1


# ── the worker, where the intent is committed with the claim ─────────────────────────────────────────────


@pytest.fixture
def uid(bridge: Any, device: str) -> str:
    """The UID of a device, on a portal that is asked nothing about it."""
    return next(each["uid"] for each in bridge.nexthink.world()["devices"] if each["name"] == device)


@pytest.fixture
def known_engines(bridge: Any, key_numbers: Iterator[int]) -> None:
    """A worker that knows the portal's Engines, so that nothing has to be asked."""
    key = f"SUP-{next(key_numbers)}"
    uid = bridge.nexthink.world()["devices"][0]["uid"]
    bridge.ticket(key=key, labels=("direct",), devices=(uid,))
    bridge.reaches(key, RunState.ANSWERED)
    bridge.nexthink.reset()


@pytest.fixture
def paused(bridge: Any) -> Iterator[Path]:
    """What keeps the worker from claiming; one stopped by a signal might hold the ledger's lock."""
    file = bridge.folder / "pause"
    file.touch()
    yield file
    file.unlink(missing_ok=True)


def test_killed_while_claim_and_intent_are_being_committed_nothing_was_sent_and_the_next_sends_once(
    bridge, known_engines, paused, key, uid
):
    bridge.ticket(key=key, labels=("direct",), devices=(uid,))
    with bridge.locked():
        paused.unlink()
        threading.Event().wait(POLL_SECONDS + 0.5)
        bridge.kill("worker")
        assert sent(bridge) == []
    assert bridge.story(key).run.state is RunState.QUEUED
    bridge.start_worker()
    assert bridge.told(key, "answered") == ("answered",)
    assert sent(bridge) == [f"{bridge.story(key).run.id}-1-1"]


def test_killed_while_the_call_of_an_intent_committed_with_its_claim_is_under_way_it_is_unknown(
    bridge, known_engines, key, uid
):
    bridge.nexthink.fault("delay", path=RUN, seconds=4)
    bridge.ticket(key=key, labels=("direct",), devices=(uid,))
    bridge.soon(lambda: sent(bridge))
    restart(bridge)
    assert bridge.told(key, "unknown") == ("unknown",)
    assert len(sent(bridge)) == 1
    assert len(bridge.comments(key)) == 1


# ── the worker, between the intent and the record of the answer ──────────────────────────────────────────


class Gate:
    """A way to the portal that can be shut, so that a connection hangs before anything was sent."""

    def __init__(self, port: int) -> None:
        self.portal = port
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=0)
        self.port: int = self.listening.getsockname()[1]
        self.open = threading.Event()
        self.open.set()
        self.waiting: list[socket.socket] = []
        self.relays: list[threading.Thread] = []
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def shut(self) -> None:
        """Take no further connection, and fill the queue of those that wait."""
        self.open.clear()
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", self.port))
            self.waiting.append(filler)
        threading.Event().wait(0.2)

    def close(self) -> None:
        for filler in self.waiting:
            filler.close()
        self.open.set()
        self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        for thread in (self.thread, *self.relays):
            thread.join(10)

    def _accept(self) -> None:
        while True:
            self.open.wait()
            try:
                taken, _ = self.listening.accept()
            except OSError:
                return
            relay = threading.Thread(target=_relay, args=(taken, self.portal), daemon=True)
            relay.start()
            self.relays.append(relay)


def _relay(taken: socket.socket, portal: int) -> None:
    with taken, socket.create_connection(("127.0.0.1", portal)) as onward:
        back = threading.Thread(target=_pass_on, args=(onward, taken), daemon=True)
        back.start()
        _pass_on(taken, onward)
        back.join()


def _pass_on(come: socket.socket, go: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := come.recv(65_536):
            go.sendall(data)
    for end in (come, go):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def gate(bridge: Any) -> Iterator[Gate]:
    """A worker that reaches the portal through a gate; the usual one is back afterwards."""
    gate = Gate(int(bridge.nexthink.url.rpartition(":")[2]))
    bridge.kill("worker")
    bridge.start_worker(BRIDGE_PORTALS__MAIN__BASE_URL=f"http://127.0.0.1:{gate.port}")
    yield gate
    bridge.kill("worker")
    gate.close()


def test_killed_after_the_intent_and_before_the_first_byte_the_outcome_is_unknown_and_nothing_ran(
    bridge, gate, key_numbers
):
    warm, key = (f"SUP-{next(key_numbers)}" for _ in range(2))
    bridge.ticket(key=warm, devices=("WS-ABC-12345",))  # the list of Engines is known from here on
    bridge.reaches(warm, RunState.ANSWERED)
    gate.shut()
    bridge.ticket(key=key, devices=("WS-ABC-23456",))
    bridge.reaches(key, RunState.SENDING)
    bridge.kill("worker")
    bridge.start_worker()
    assert bridge.told(key, "unknown") == ("unknown",)
    assert len(sent(bridge)) == 1  # the first ticket's


def test_killed_while_the_call_is_under_way_the_outcome_is_unknown_and_it_is_not_sent_again(
    bridge, key, device
):
    bridge.nexthink.fault("delay", path=RUN, seconds=4)
    bridge.ticket(key=key, devices=(device,))
    bridge.soon(lambda: sent(bridge))
    restart(bridge)
    assert bridge.told(key, "unknown") == ("unknown",)
    story = bridge.story(key)
    assert [call.state for call in story.calls] == [CallState.UNKNOWN]
    assert len(sent(bridge)) == 1
    assert len(bridge.comments(key)) == 1


def test_killed_with_the_answer_in_hand_that_could_not_be_recorded_the_outcome_is_unknown(
    bridge, key, device
):
    bridge.nexthink.fault("delay", path=RUN, seconds=0.7)
    bridge.ticket(key=key, devices=(device,))
    bridge.soon(lambda: sent(bridge))
    with bridge.locked():
        threading.Event().wait(1.5)
        bridge.kill("worker")
    bridge.start_worker()
    assert bridge.told(key, "unknown") == ("unknown",)
    assert len(sent(bridge)) == 1


def test_s8_stopped_for_so_long_that_it_is_taken_for_dead_a_worker_still_records_its_answer(
    bridge, key, device
):
    bridge.nexthink.fault("delay", path=RUN, seconds=2)
    bridge.ticket(key=key, devices=(device,))
    bridge.soon(lambda: sent(bridge))
    bridge.suspend("worker")
    bridge.start_worker("second")
    assert bridge.told(key, "unknown") == ("unknown",)
    bridge.send("worker", signal.SIGCONT)
    assert bridge.told(key, "unknown", "late") == ("unknown", "late")
    assert bridge.story(key).run.state is RunState.ANSWERED
    assert len(sent(bridge)) == 1
    # It noticed that it was declared dead, and works on under another session.
    bridge.soon(lambda: len(bridge.ledger.read(queries.figures).sessions) == 2)


# ── the worker, telling ──────────────────────────────────────────────────────────────────────────────────


def test_killed_while_the_comment_is_being_committed_as_posting_it_is_posted_once(bridge, key, device):
    bridge.jira.fault("status", status=503, **COMMENT)
    bridge.ticket(key=key, devices=(device,))
    bridge.soon(lambda: bridge.stories(key) and bridge.story(key).comments)
    bridge.soon(lambda: tried_once(bridge.story(key).comments[0]))
    in_time_machine(bridge)
    with bridge.locked():
        threading.Event().wait(0.5)
        bridge.kill("worker")
    # It may have taken the comment up before the ledger was locked.
    in_time_machine(bridge)
    bridge.start_worker()
    assert bridge.told(key, "answered") == ("answered",)
    assert len(bridge.comments(key)) == 1
    assert len(sent(bridge)) == 1


@pytest.mark.parametrize("arrived", [True, False])
def test_killed_while_a_comment_is_being_posted_it_is_looked_for_and_stands_once(
    bridge, key, device, arrived
):
    bridge.jira.fault("delay", seconds=4, carried_out=arrived, **COMMENT)
    bridge.ticket(key=key, devices=(device,))
    bridge.soon(lambda: bridge.stories(key) and bridge.story(key).comments)
    bridge.soon(lambda: bridge.story(key).comments[0].state is CommentState.POSTING)
    threading.Event().wait(0.3)
    restart(bridge)
    assert len(bridge.comments(key)) == arrived
    in_time_machine(bridge)
    assert bridge.told(key, "answered") == ("answered",)
    assert len(bridge.comments(key)) == 1
    assert len(sent(bridge)) == 1


def test_killed_with_a_posted_comment_that_could_not_be_recorded_it_is_found_and_stands_once(
    bridge, key, device
):
    bridge.jira.fault("delay", seconds=0.7, **COMMENT)
    bridge.ticket(key=key, devices=(device,))
    bridge.soon(lambda: bridge.comments(key))
    with bridge.locked():
        threading.Event().wait(1.5)
        bridge.kill("worker")
    in_time_machine(bridge)
    bridge.start_worker()
    assert bridge.told(key, "answered") == ("answered",)
    assert len(bridge.comments(key)) == 1
