"""Sends webhooks as the simulated systems do: in the background, with their retries, and remembers each try.

It must not know what a webhook says; its bytes and headers arrive finished.
"""

import http.client
import itertools
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from threading import Event, Lock, Thread
from typing import Any
from urllib.parse import urlsplit

# What Jira Cloud sends again; everything else that is not a success is lost.
RETRIED = frozenset({408, 409, 425, 429, *range(500, 600)})
TIMEOUT_SECONDS = 20.0
MAX_ANSWER = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """One event on its way: `retry_waits` are the seconds before each further try, empty for none."""

    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    retry_waits: tuple[float, ...] = ()
    retry_header: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try; `status` is None where no answer came."""

    webhook: int
    number: int
    at: str
    url: str
    headers: dict[str, str]
    body: str
    status: int | None
    answer: str
    error: str | None


class Sender:
    """Sends each webhook on a thread of its own, so that a slow receiver delays no other."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._attempts: list[Attempt] = []
        self._numbers = itertools.count(1)
        self._stopping = Event()

    def send(self, webhook: Webhook, *, copies: int = 1) -> list[Thread]:
        """Start sending; further copies are duplicates with the same headers and body, at the same time."""
        threads = [
            Thread(target=self._deliver, args=(next(self._numbers), webhook), daemon=True)
            for _ in range(copies)
        ]
        for thread in threads:
            thread.start()
        return threads

    def attempts(self) -> list[dict[str, Any]]:
        """Return every try as JSON, oldest first."""
        with self._lock:
            return [asdict(attempt) for attempt in self._attempts]

    def clear(self) -> None:
        """Forget the tries so far."""
        with self._lock:
            self._attempts.clear()

    def stop(self) -> None:
        """Make no further tries."""
        self._stopping.set()

    def _deliver(self, number: int, webhook: Webhook) -> None:
        for retry, wait in enumerate((0.0, *webhook.retry_waits)):
            if self._stopping.wait(wait):
                return
            headers = dict(webhook.headers)
            if retry and webhook.retry_header is not None:
                headers[webhook.retry_header] = str(retry)
            attempt = _post(number, retry + 1, webhook, headers)
            with self._lock:
                self._attempts.append(attempt)
            if attempt.status is not None and attempt.status not in RETRIED:
                return


def _post(number: int, attempt: int, webhook: Webhook, headers: dict[str, str]) -> Attempt:
    status, answer, error = None, "", None
    at = datetime.now(UTC).isoformat()
    parts = urlsplit(webhook.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("POST", parts.path or "/", body=webhook.body, headers=headers)
        response = connection.getresponse()
        status, answer = response.status, response.read(MAX_ANSWER).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as failure:
        error = type(failure).__name__
    finally:
        connection.close()
    return Attempt(
        webhook=number,
        number=attempt,
        at=at,
        url=webhook.url,
        headers=headers,
        body=webhook.body.decode("utf-8"),
        status=status,
        answer=answer,
        error=error,
    )
