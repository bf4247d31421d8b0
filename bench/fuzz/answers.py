"""Answers of Nexthink, Jira and ServiceNow: a value that is understood, whatever was sent."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

from bench.fuzz.incoming import NOW
from bench.fuzz.oracles import made_up_connections, samples, see_storable
from bench.fuzz.questions import ENGINE, PORTAL
from bridge.models import (
    CallState,
    Device,
    DeviceUid,
    DeviceUser,
    HttpResponse,
    Occasion,
    OwedComment,
    Part,
    Person,
    RunState,
    TicketRef,
    Visibility,
    WriteBack,
)
from bridge.nexthink import act, engines, nxql, users
from bridge.ticketing import Changing, Conversation, TicketSystem

STATUSES = (200, 201, 204, 206, 301, 302, 400, 401, 403, 404, 409, 413, 429, 500, 502, 503, 599, 100, 0)
SINCE = datetime(2026, 5, 1, tzinfo=UTC)
# More than any conversation asks; one that goes on for ever is a hang.
MOST_REQUESTS = 200
PART = Part(number=1, devices=(Device(uid=DeviceUid("0" * 32), name="X"),), engines=(ENGINE.uid,))
USER = DeviceUser(login="jdoe", domain=None, used_within=timedelta(days=30))


def _responses(data: bytes) -> list[HttpResponse]:
    """Read answers between NULs: a byte for the status, then the body, which is the headers' text as well."""
    return [
        HttpResponse(
            status=STATUSES[part[0] % len(STATUSES)] if part else 200,
            headers=(
                ("retry-after", part[1:30].decode("latin-1")),
                ("date", part[30:60].decode("latin-1")),
            ),
            body=part[1:],
        )
        for part in data.split(b"\x00")
    ]


def nexthink_answers() -> Callable[[bytes], None]:
    """What Nexthink answered: 5xx and 3xx are never an answer, nor is what cannot be read."""

    def run(data: bytes) -> None:
        for response in _responses(data):
            result = act.decipher(PORTAL, response, PART, {ENGINE.uid: "engine-1"})
            see_storable(result)
            if not 200 <= response.status < 300:
                assert result.state is not CallState.ANSWERED, result
            if not 400 <= response.status < 500:
                assert result.state in {CallState.ANSWERED, CallState.UNKNOWN}, result
            see_storable(engines.read_list(response))
            see_storable(nxql.read_devices(response, name="X", engine=ENGINE))
            see_storable(nxql.read_device(response, device="0" * 32, engine=ENGINE))
            see_storable(users.read_used_devices(PORTAL, response, user=USER, engine=ENGINE, now=NOW))

    return run


def nexthink_answers_seeds() -> list[bytes]:
    """Return an answer of each kind."""
    device = b'"device_uid": "00000000000000000000000000000000", "name": "X"'
    return [
        b'\x13[{"databaseUid": "1", "code": "ok", "message": ""}]',
        b'\x06{"code": "NO_PERMISSION", "error": "no"}',
        b'\x13[{"databaseUID": "11111111111111111111111111111111", "name": "e", "status": "CONNECTED"}]',
        b"\x13[{" + device + b', "last_seen": "2026-05-01T00:00:00"}]',
        b"\x13[{" + device + b', "last_logged_on_user": "jdoe", "last_logon_time": 1779900000}]',
        b"\x0c" + b"Thu, 28 May 2026 20:00:00 GMT" * 2,
    ]


def ticket_answers() -> Callable[[bytes], None]:
    """What the ticket systems answered: read to an end, and no answer leads a request elsewhere."""
    systems = [source.system for source in made_up_connections().sources.values()]

    def run(data: bytes) -> None:
        responses = _responses(data)
        for system in systems:
            for conversation in _conversations(system):
                see_storable(_carried_out(system, conversation, responses))
            for read in _readings(system):
                see_storable(read(responses[0]))

    return run


def _ticket(system: TicketSystem) -> TicketRef:
    uid = "501" if system.kind == "jira" else "9d385017c611228701d22104cc95c371"
    return TicketRef(source=system.source, uid=uid, key="SUP-1", table="incident")


def _conversations(system: TicketSystem) -> Iterator[Conversation[Any] | Changing]:
    ticket, person = _ticket(system), Person(id="5b10a2844c20165700ede21g", login="rita")
    yield system.fetch_ticket(ticket, SINCE)
    yield system.fetch_groups(person)
    yield system.fetch_approvals(ticket)
    yield system.fetch_changed(SINCE)
    change = WriteBack(
        outcome=RunState.ANSWERED, state="Done", assign_to="rita", assign_group="desk", label="done"
    )
    yield system.change_ticket(ticket, change)


def _readings(system: TicketSystem) -> Iterator[Callable[[HttpResponse], Any]]:
    ticket = _ticket(system)
    yield system.read_account
    for visibility in Visibility:
        comment = OwedComment(
            occasion=Occasion.ANSWERED, n=1, marker="bridge-r1-answered-1", text="x", visibility=visibility
        )
        yield lambda response, owed=comment: system.read_comment(response, owed)
        for start in (0, 1):
            yield lambda response, owed=comment, at=start: system.read_search(response, ticket, owed, at)


def _carried_out(
    system: TicketSystem, conversation: Conversation[Any] | Changing, responses: list[HttpResponse]
) -> Any:
    home = urlsplit(system.account_request().url).netloc
    waiting = islice(_for_ever(responses), MOST_REQUESTS)
    try:
        request = next(conversation)
        for response in waiting:
            assert urlsplit(request.url).netloc == home, request.url
            see_storable(request.url)
            request = conversation.send(response)
    except StopIteration as end:
        return end.value
    raise AssertionError(f"after {MOST_REQUESTS} requests it still asks: {request.url}")


def _for_ever(responses: list[HttpResponse]) -> Iterator[HttpResponse]:
    """Yield the answers in their order, and the last one again and again."""
    yield from responses
    while True:
        yield responses[-1]


def ticket_answers_seeds() -> list[bytes]:
    """Return tickets as they are answered, and pages that promise more."""
    found = [b"\x13" + body.replace(b"\x00", b"") for body in samples()]
    pages = [
        b'{"issues": [], "nextPageToken": "x"}',
        b'{"comments": [], "total": 9, "startAt": 0}',
        b'{"values": [{"id": "1"}], "total": 99, "isLast": false, "startAt": 0}',
        (
            b'{"id": "501", "key": "SUP-1", "fields": {"status": {"statusCategory": {"key": "done"}}, '
            b'"updated": "2026-05-28T20:00:00.000+0000"}, "changelog": {"histories": [], "total": 3}}'
        ),
        (
            b'{"result": [{"sys_id": "9d385017c611228701d22104cc95c371", "sys_updated_on": '
            b'"2026-05-28 20:00:00", "number": "INC1", "sys_class_name": "incident"}]}'
        ),
        b'{"accountId": "a", "emailAddress": "b", "displayName": "c", "name": "d"}',
    ]
    return [*found, *(b"\x13" + page for page in pages), b"\x13" + b"\x00\x13".join(pages)]
