"""L1 as deployed: four worker processes, one limit, and the simulated portal as the witness."""

from typing import Any

import pytest

from bridge.errors import Reason
from bridge.models import RunState

pytestmark = pytest.mark.journey

WORKERS, TICKETS, LIMIT = 4, 12, 5


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_l1_four_workers_send_no_more_than_the_hour_allows_and_tell_the_rest(install, tmp_path, kind):
    with install(tmp_path, kind, PER_HOUR=str(LIMIT)) as bridge:
        bridge.nexthink.reset()
        bridge.jira.call("POST", "reset")
        # Nobody sends until all have work, so that they ask for the same places at the same time.
        pause = bridge.folder / "pause"
        pause.touch()
        bridge.start_web()
        for number in range(WORKERS):
            bridge.start_worker(f"worker-{number}")
        keys = [f"SUP-{number}" for number in range(1, TICKETS + 1)]
        for number, key in enumerate(keys, 1):
            bridge.ticket(key=key, devices=(f"WS-LAB-{number:05}",), wait=False)
        bridge.soon(lambda: all(bridge.stories(key) for key in keys))
        pause.unlink()
        bridge.soon(lambda: settled(bridge, keys))
        for key in keys:
            bridge.told(key, "held" if held(bridge, key) else "answered")
        assert len(bridge.nexthink.calls()["calls"]) == LIMIT
        assert sum(held(bridge, key) for key in keys) == TICKETS - LIMIT

        # The window moves on, and so do they, again no more than the hour allows.
        bridge.pass_time("runs", "intended_at", "due_at", seconds=3601)
        bridge.soon(lambda: len(bridge.nexthink.calls()["calls"]) == 2 * LIMIT)
        bridge.soon(lambda: settled(bridge, keys))
        assert len(bridge.nexthink.calls()["calls"]) == 2 * LIMIT


def settled(bridge: Any, keys: list[str]) -> bool:
    return all(held(bridge, key) or bridge.story(key).run.state is RunState.ANSWERED for key in keys)


def held(bridge: Any, key: str) -> bool:
    run = bridge.story(key).run
    return run.state is RunState.HELD and run.reason is Reason.OVER_LIMIT
