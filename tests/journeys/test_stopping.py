"""Stopping with grace, pausing, and what both leave behind, with real processes."""

import threading
from typing import Any

import pytest

from bridge.models import RunState

pytestmark = pytest.mark.journey

RUN = "/api/remoteaction/v2/run"


def sent(bridge: Any) -> int:
    return len(bridge.nexthink.calls()["calls"])


def test_sigterm_lets_a_call_in_flight_end_and_records_its_answer(bridge, key, device):
    bridge.nexthink.fault("delay", path=RUN, seconds=2)
    bridge.ticket(key=key, devices=(device,))
    bridge.soon(lambda: sent(bridge))
    assert bridge.terminate("worker") == 0
    assert bridge.story(key).run.state is RunState.ANSWERED
    bridge.start_worker()
    assert bridge.told(key, "answered") == ("answered",)
    assert sent(bridge) == 1


def test_sigterm_whose_grace_is_over_leaves_an_unknown_that_the_next_worker_tells(bridge, key, device):
    bridge.kill("worker")
    bridge.start_worker(BRIDGE_GRACE_SECONDS="1")
    bridge.nexthink.fault("delay", path=RUN, seconds=6)
    bridge.ticket(key=key, devices=(device,))
    bridge.soon(lambda: sent(bridge))
    assert bridge.terminate("worker") == 1
    bridge.start_worker()
    assert bridge.told(key, "unknown") == ("unknown",)
    assert sent(bridge) == 1


def test_sigterm_while_devices_are_looked_up_leaves_the_run_to_the_next_worker(bridge, key, device):
    bridge.kill("worker")
    bridge.start_worker(BRIDGE_GRACE_SECONDS="0")
    bridge.nexthink.fault("delay", path="/nxql/*", seconds=5)
    bridge.ticket(key=key, devices=(device,))
    bridge.reaches(key, RunState.CLAIMED)
    assert bridge.terminate("worker") == 1
    bridge.start_worker()
    assert bridge.told(key, "answered") == ("answered",)
    assert sent(bridge) == 1
    assert bridge.story(key).run.crashes == 0


def test_sigterm_of_the_web_process_answers_the_delivery_that_it_is_committing(bridge, key, device):
    with bridge.locked():
        sender = threading.Thread(target=bridge.ticket, kwargs={"key": key, "devices": (device,)})
        sender.start()
        threading.Event().wait(0.5)
        bridge.processes["web"].send_signal(15)
        threading.Event().wait(0.5)
    sender.join(20)
    assert bridge.terminate("web") == 0
    tries = [each["status"] for each in bridge.deliveries(key)]
    assert tries == [200]
    assert bridge.told(key, "answered") == ("answered",)


def test_a_pause_file_stops_sending_while_accepting_and_telling_go_on(bridge, key_numbers, device):
    held, announced = (f"SUP-{next(key_numbers)}" for _ in range(2))
    pause = bridge.folder / "pause"
    pause.touch()
    try:
        bridge.ticket(key=held, devices=(device,))
        bridge.ticket(key=announced, devices=(device,), labels=("announce",))
        bridge.told(announced, "announced")
        assert bridge.story(held).run.state is RunState.QUEUED
        assert sent(bridge) == 0
    finally:
        pause.unlink()
    assert bridge.told(held, "answered") == ("answered",)
    assert sent(bridge) == 1


def test_a_paused_host_sends_nothing_while_another_one_does(bridge, key_numbers, device):
    first, second, told = (f"SUP-{next(key_numbers)}" for _ in range(3))
    bridge.kill("worker")
    bridge.start_worker("paused", BRIDGE_PAUSED="on")
    bridge.ticket(key=first, devices=(device,))
    bridge.ticket(key=told, devices=(device,), labels=("announce",))
    bridge.told(told, "announced")
    assert (bridge.story(first).run.state, sent(bridge)) == (RunState.QUEUED, 0)
    bridge.start_worker()
    bridge.ticket(key=second, devices=("WS-ABC-12345",))
    bridge.told(first, "answered")
    bridge.told(second, "answered")
    assert sent(bridge) == 2
