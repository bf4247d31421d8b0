"""Makes signed Jira webhooks and sends them over kept connections, as fast as they are accepted.

It must not look into what a contender does with them.
"""

import asyncio
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from bench.upstream import DEVICE_NAME, DEVICE_UID

SECRET = "made-up-webhook-secret-of-the-bench"
# Seconds until a webhook that was refused with 503 is sent again; senders of webhooks wait longer.
AGAIN_SECONDS = 0.1


class Devices(StrEnum):
    """What tickets name: a UID that is used as it stands, or a name that is looked up on two Engines."""

    UID = "uid"
    NAME = "name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """When the first webhook left and the last was accepted (monotonic), and how many had to be repeated.

    `waits` are the seconds that each took until it was accepted.
    """

    began: float
    accepted: float
    repeated: int
    waits: tuple[float, ...]


def webhooks(devices: Devices, count: int, *, first: int, project: str = "SUP") -> list[bytes]:
    """Return whole HTTP requests, each an issue of its own that was created now; `first` numbers them."""
    return [_webhook(devices, number, project) for number in range(first, first + count)]


async def send(
    port: int, requests: list[bytes], *, connections: int, per_second: float | None = None
) -> Sent:
    """Send every request once accepted, over so many connections; raise for an answer but 2xx and 503.

    With `per_second` each has its time, and what it waits for a connection after that counts as well.
    """
    began = time.monotonic()
    waiting = (
        (began + number / per_second if per_second else None, request)
        for number, request in enumerate(requests)
    )
    lines = await asyncio.gather(*(_line(port, waiting) for _ in range(connections)))
    accepted = time.monotonic()
    return Sent(
        began=began,
        accepted=accepted,
        repeated=sum(repeated for repeated, _ in lines),
        waits=tuple(wait for _, waits in lines for wait in waits),
    )


async def _line(port: int, waiting: Iterator[tuple[float | None, bytes]]) -> tuple[int, list[float]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    repeated, waits = 0, list[float]()
    for time_of, request in waiting:
        since = time_of or time.monotonic()
        await asyncio.sleep(since - time.monotonic())
        while (status := (await _exchange(reader, writer, request))[0]) == 503:
            repeated += 1
            await asyncio.sleep(AGAIN_SECONDS)
        if not 200 <= status < 300:
            raise RuntimeError(f"a webhook was answered with {status}")
        waits.append(time.monotonic() - since)
    writer.close()
    return repeated, waits


async def ask(port: int, request: bytes) -> tuple[int, bytes]:
    """Send one request over a connection of its own; return the status and the body of its answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        return await _exchange(reader, writer, request)
    finally:
        writer.close()


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
) -> tuple[int, bytes]:
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
    body = await reader.readexactly(int(length))
    return int(head.split(b" ", 2)[1]), body


def _webhook(devices: Devices, number: int, project: str) -> bytes:
    body = json.dumps(event(devices, number, project)).encode()
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    lines = (
        "POST /webhooks/jira HTTP/1.1",
        "Host: 127.0.0.1",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "User-Agent: Atlassian Webhook HTTP Client",
        f"X-Atlassian-Webhook-Identifier: {uuid.uuid4()}",
        f"X-Hub-Signature: sha256={signature}",
    )
    return "\r\n".join((*lines, "", "")).encode() + body


def event(devices: Devices, number: int, project: str = "SUP") -> dict[str, Any]:
    """Return the body of a webhook: an issue of its own that was created now."""
    now = datetime.now(UTC)
    written = now.strftime("%Y-%m-%dT%H:%M:%S.000+0000")
    person = {
        "accountId": "5b10a2844c20165700ede21f",
        "accountType": "atlassian",
        "displayName": "Ada Example",
        "active": True,
    }
    return {
        "timestamp": int(now.timestamp() * 1000),
        "webhookEvent": "jira:issue_created",
        "issue_event_type_name": "issue_created",
        "user": person,
        "issue": {
            "id": str(number),
            "key": f"{project}-{number}",
            "self": f"https://jira.example.com/rest/api/2/issue/{number}",
            "fields": {
                "project": {"id": "10000", "key": project, "name": "Support"},
                "issuetype": {"id": "10010", "name": "Service Request"},
                "status": {"id": "10100", "name": "Open"},
                "priority": {"id": "2", "name": "High"},
                "summary": "Word closes unexpectedly",
                "description": "Word closes when I open a mail merge. " * 10,
                "labels": ["auto-remediate", f"by-{devices}"],
                "reporter": person,
                "assignee": None,
                "created": written,
                "updated": written,
                "customfield_10051": DEVICE_UID if devices is Devices.UID else DEVICE_NAME,
                **{f"customfield_{field}": None for field in range(10100, 10140)},
            },
        },
    }
