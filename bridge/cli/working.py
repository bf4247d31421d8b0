"""Runs a worker as a process: open files, signals, grace, and an end that nothing can hold up.

It must not know what a worker does.
"""

import os
import signal
import sys
from types import FrameType

from bridge import logs
from bridge.bootstrap import open_bridge, read_live_settings
from bridge.bootstrap.workers import grace_seconds, make_worker
from bridge.cli.door import INTERRUPTED
from bridge.errors import ConfigurationError
from bridge.open_files import provide
from bridge.settings import Settings


def work() -> int:
    """Work until SIGTERM or SIGINT, then let calls in flight end within the grace; return the exit code.

    0: everything ended. 1: calls were left behind, and their outcomes become unknown. A second SIGINT ends
    at once. Raises ConfigurationError where the settings, the schema or the open files do not allow to start.
    """
    live = read_live_settings()
    settings = live.current()
    logs.configure(settings.log_level)
    _provide_files(settings)
    bridge = open_bridge(live)
    bridge.start()
    worker = make_worker(bridge)
    interrupted = False

    def stop(number: int, _frame: FrameType | None) -> None:
        nonlocal interrupted
        if interrupted and number == signal.SIGINT:
            os._exit(INTERRUPTED)
        interrupted = interrupted or number == signal.SIGINT
        worker.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    worker.run()
    left = worker.drain(grace_seconds(bridge))
    bridge.stop()
    return 1 if left else 0


def leave(code: int) -> None:
    """End the process now: a thread that waits for an answer cannot be ended, and nobody waits for it."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _provide_files(settings: Settings) -> None:
    problem = provide(max_in_flight=settings.max_in_flight, comment_senders=settings.comment_senders)
    if problem is not None:
        raise ConfigurationError((f"BRIDGE_MAX_IN_FLIGHT: {problem}",))
