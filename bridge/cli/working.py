"""Runs a worker as a process: open files, signals, grace, and an end that nothing can hold up.

It must not know what a worker does.
"""

import contextlib
import faulthandler
import os
import signal
import socket
import sys
import threading
from types import FrameType
from typing import Final

from bridge import logs
from bridge.bootstrap import open_bridge, read_live_settings
from bridge.bootstrap.workers import grace_seconds, make_worker
from bridge.cli.door import INTERRUPTED
from bridge.errors import ConfigurationError
from bridge.open_files import provide
from bridge.settings import Settings
from bridge.worker import Worker

# Seconds after the grace in which a process that was told to stop is gone, whatever its threads do. To close
# the session and to write what is queued takes milliseconds, and seconds where the ledger does not answer.
ENDING_SECONDS = 10.0
# Takes the place of a signal's number where the worker ended by itself.
_ENDED: Final = b"\0"


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
    told, telling = _listen_to_signals()
    failures: list[BaseException] = []
    # In a thread of its own, so that this one can drain it, and end the process, whatever it hangs on.
    threading.Thread(target=_run, args=(worker, failures, telling), name="worker", daemon=True).start()
    told.recv(1)
    worker.stop()
    grace = grace_seconds(bridge)
    faulthandler.dump_traceback_later(grace + ENDING_SECONDS, exit=True)
    left = worker.drain(grace)
    bridge.stop()
    if failures:
        raise failures[0]
    return 1 if left else 0


def _listen_to_signals() -> tuple[socket.socket, int]:
    """Let SIGTERM and SIGINT write into a socket; return its other end and the file that they write to.

    The second SIGINT ends the process. A handler runs in the middle of whatever the main thread does, which
    may be another handler. It must not take a lock, not even that of an Event: where what it interrupts holds
    it, it would wait for itself.
    """
    interrupted = False

    def note(number: int, _frame: FrameType | None) -> None:
        nonlocal interrupted
        if interrupted and number == signal.SIGINT:
            os._exit(INTERRUPTED)
        interrupted = interrupted or number == signal.SIGINT

    told, telling = socket.socketpair()
    telling.setblocking(False)
    # Never closed: a signal may come until the very end.
    file = telling.detach()
    # The interpreter itself writes, whichever thread the system chose for the signal. Of more signals than
    # the socket takes the first is enough.
    signal.set_wakeup_fd(file, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, note)
    return told, file


def _run(worker: Worker, failures: list[BaseException], telling: int) -> None:
    try:
        worker.run()
    except BaseException as error:  # noqa: BLE001 - raised again where the command's door can tell it
        failures.append(error)
    finally:
        # Where signals have filled the socket, they have told.
        with contextlib.suppress(BlockingIOError):
            os.write(telling, _ENDED)


def leave(code: int) -> None:
    """End the process now: a thread that waits for an answer cannot be ended, and nobody waits for it."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _provide_files(settings: Settings) -> None:
    problem = provide(max_in_flight=settings.max_in_flight, comment_senders=settings.comment_senders)
    if problem is not None:
        raise ConfigurationError((f"BRIDGE_MAX_IN_FLIGHT: {problem}",))
