"""How gunicorn serves the webhooks: few threads, bounded requests, logs like the rest of the bridge.

It must not start work before a worker process exists: threads that are started earlier live in the master.
"""

import os
from pathlib import Path
from typing import Any

from gunicorn.glogging import Logger

from bridge import logs
from bridge.errors import ConfigurationError
from bridge.settings import read_settings

try:
    _settings = read_settings(os.environ, Path(".env"))
except ConfigurationError as error:
    raise SystemExit(str(error)) from None

# Platforms that start a Procfile say by PORT where they expect it, on all of the container's addresses.
bind = f"0.0.0.0:{os.environ['PORT']}" if os.environ.get("PORT") else _settings.bind

# A request waits for the ledger's commit, so threads; two processes, so that one that dies is not missed.
worker_class = "gthread"
workers = _settings.web_workers
threads = _settings.web_threads
# Threads that we start would live in the master only, and a restart would not read the code again.
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


def post_worker_init(worker: Any) -> None:
    """Start the background threads where they are needed: in the worker process."""
    worker.wsgi.extensions["bridge"].start()


def worker_exit(_server: Any, worker: Any) -> None:
    """Stop the background threads, so that what is queued for the ledger is still written."""
    # A worker that could not load the application has none.
    if getattr(worker, "wsgi", None) is not None:
        worker.wsgi.extensions["bridge"].stop()
