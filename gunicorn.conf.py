"""How gunicorn serves the webhooks: few threads, requests bounded in size and time, logs like the bridge's.

It must not start work before a worker process exists: threads that are started earlier live in the master.
"""

import contextlib
import gc
import os
import selectors
import socket
import time
from functools import partial
from pathlib import Path
from typing import Any, Final

from gunicorn.glogging import Logger
from gunicorn.workers.gthread import ThreadWorker

from bridge import logs
from bridge.errors import ConfigurationError
from bridge.settings import read_settings

try:
    _settings = read_settings(os.environ, Path(".env"))
except ConfigurationError as error:
    raise SystemExit(str(error)) from None

# Platforms that start a Procfile say by PORT where they expect it, on all of the container's addresses.
if os.environ.get("PORT") and _settings.console == "open":
    raise SystemExit("BRIDGE_CONSOLE: may not be open where PORT is set (which is on all addresses)")
bind = f"0.0.0.0:{os.environ['PORT']}" if os.environ.get("PORT") else _settings.bind

# Seconds that a whole request may take to arrive, from its first byte.
ARRIVAL: Final = 10.0


class _Punctual(ThreadWorker):
    """Keeps threads from who says nothing, and ends what has not arrived in time.

    gthread itself waits in a thread, 5 seconds for a first byte, and for the rest of a request for ever.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Oldest first; touched by the worker's main thread only.
        self._due: dict[Any, float] = {}

    def enqueue_req(self, conn: Any) -> None:
        """Give a connection a thread once it says something, and until when to say the rest."""
        if not conn.initialized and not conn.data_ready:
            conn.sock.setblocking(False)
            conn.set_timeout()
            self.pending_conns.append(conn)
            self.poller.register(
                conn.sock, selectors.EVENT_READ, partial(self.on_pending_socket_readable, conn)
            )
            return
        self._due[conn] = time.monotonic() + ARRIVAL
        super().enqueue_req(conn)

    def finish_request(self, conn: Any, fs: Any) -> None:
        """Forget a connection that is done with."""
        self._due.pop(conn, None)
        super().finish_request(conn, fs)

    def handle_quit(self, sig: int, frame: Any) -> None:
        """End at a Ctrl-C as at SIGTERM: what has begun is answered.

        gthread's own takes a lock in the signal's handler, which the thread that it interrupts may hold.
        """
        self.handle_exit(sig, frame)

    def murder_pending(self) -> None:
        """Read nothing more from connections that are overdue; the main loop calls this every second."""
        super().murder_pending()
        while self._due and next(iter(self._due.values())) < time.monotonic():
            late = next(iter(self._due))
            del self._due[late]
            # What has arrived is still read, and the answer to it still written.
            with contextlib.suppress(OSError):
                late.sock.shutdown(socket.SHUT_RD)


# A request waits for the ledger's commit, so threads; two processes, so that one that dies is not missed.
worker_class = _Punctual
workers = _settings.web_workers
threads = _settings.web_threads
# `when_ready` loads the application: gunicorn would do it before it listens, and refuse who comes then.
preload_app = False
# Recycling would cut requests for nothing: memory does not grow.
max_requests = 0

# For gthread this is a heartbeat of the process, not a limit for a request.
timeout = 60
# Senders wait 10 to 30 seconds; what has not been answered by then is sent again or lost anyway.
graceful_timeout = 30
# Longer than a burst of webhooks pauses, shorter than the idle time of usual proxies.
keepalive = 5
# The heartbeat is a file: on a disk that stalls, healthy processes would be killed.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - gunicorn makes it private

# Webhook senders need far less; what is larger is an attack or a mistake.
limit_request_line = 4094
limit_request_fields = 50
limit_request_field_size = 8190
# We use no address or scheme that a proxy claims, so nobody is believed.
forwarded_allow_ips = ""
header_map = "drop"
# Nothing asks it, and a socket that is not there needs no guard.
control_socket_disable = True

# One line of JSON for each event; a line for each request would repeat what the ledger holds.
accesslog = None
loglevel = _settings.log_level


class _JsonLogger(Logger):
    """Sends gunicorn's own lines through the bridge's logs."""

    def setup(self, cfg: Any) -> None:
        """Configure the logs of this process in place of gunicorn's handlers."""
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True
        logs.configure(_settings.log_level)


logger_class = _JsonLogger


def when_ready(server: Any) -> None:
    """Load the application once for all processes, which share its memory and are ready earlier.

    The socket listens by now, so who comes meanwhile waits. What is loaded is kept from the garbage
    collector, whose marks would copy the shared pages.
    """
    server.app.wsgi()
    gc.collect()
    gc.freeze()


def post_worker_init(worker: Any) -> None:
    """Start the background threads where they are needed: in the worker process."""
    worker.wsgi.extensions["bridge"].start()


def worker_exit(_server: Any, worker: Any) -> None:
    """Stop the background threads, so that what is queued for the ledger is still written."""
    # A worker that could not load the application has none.
    if getattr(worker, "wsgi", None) is not None:
        worker.wsgi.extensions["bridge"].stop()
