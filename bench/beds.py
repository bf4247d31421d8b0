"""Makes bridges of a size: so many mappings, so much that waits, so much that has ended.

It must not measure. What fills a ledger is copied from one real event by the database itself.
"""

import hashlib
import hmac
import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from bench import contenders, load, past
from bench.load import SECRET, Devices
from bench.upstreams import ROOT
from bridge.bootstrap import Bridge, open_bridge, open_ledger
from bridge.ledger import Tx, claiming, sessions
from bridge.ledger.claiming import Allowance
from bridge.ledger.tables import deliveries, history, runs
from bridge.models import PortalName, RunState, SessionId, SourceName, WebhookRequest
from bridge.settings import LiveSettings

START_SECONDS = 60.0
# A million runs are one write.
FILL_SECONDS = 1_200.0
PORTAL = PortalName("plain")
SESSION = SessionId("sbench")
LONG_AGO = timedelta(days=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bed:
    """A bridge without processes, on a ledger of its own; `numbers` makes each issue a new one."""

    bridge: Bridge
    numbers: Iterator[int]

    def receive(self, *, description: int = 400) -> None:
        """Take in one signed webhook that one mapping wants, with a description of so many characters."""
        event = load.event(Devices.UID, next(self.numbers))
        event["issue"]["fields"]["description"] = "Word closes. " * (description // 13)
        body = json.dumps(event).encode()
        signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        request = WebhookRequest(
            source=SourceName("jira"),
            headers=(("content-type", "application/json"), ("x-hub-signature", f"sha256={signature}")),
            body=body,
            received_at=datetime.now(UTC),
        )
        receipt = self.bridge.receiving.receive(request)
        assert isinstance(receipt.body, dict)
        assert receipt.body["runs"], receipt.body

    def claim(self, most: int) -> int:
        """Claim as many runs as a worker does at once; return how many there were."""
        claimed = self.bridge.ledger.write(
            claiming.claim,
            session=SESSION,
            allowances=(Allowance(portal=PORTAL, runs=most), Allowance(portal=None, runs=1)),
            configured=tuple(self.bridge.watching.connections().portals),
            most=most,
        )
        return len(claimed)

    def queue_again(self) -> None:
        """Put all that was claimed back, so that as much waits as before."""
        self.bridge.ledger.write(claiming.give_back_unseen, session=SESSION, seen=())

    def fill(self, count: int, state: RunState) -> None:
        """Copy the newest event so many times: as runs that wait, or as runs that ended long ago."""
        self.receive()
        self.bridge.ledger.write(_fill, count=count, state=state)


@contextmanager
def bed(database: str, *, mappings: int = 0) -> Iterator[Bed]:
    """Open a bridge with the mappings of the bench and so many that no event of it wants."""
    with tempfile.TemporaryDirectory(prefix="bench-bed-") as folder:
        rules = Path(folder, "mappings")
        shutil.copytree(ROOT / "bench" / "mappings", rules)
        write_mappings(rules, mappings)
        environment = contenders.bridge_environment(9, database or f"sqlite:///{folder}/ledger.sqlite3")
        settings = LiveSettings(environment | {"BRIDGE_MAPPINGS": str(rules)}, Path(folder, ".env"))
        # A SQLite file that is new gets its tables by itself; it is asked for all the same.
        open_ledger(settings.current(), migrating=True).stop()
        bridge = open_bridge(settings, write_timeout=FILL_SECONDS)
        bridge.start()
        try:
            _wait_for_mappings(bridge)
            bridge.ledger.write(sessions.open_session, session=SESSION, host="bench", pid=1)
            yield Bed(bridge=bridge, numbers=count(time.time_ns() // 1_000_000))
        finally:
            bridge.stop()


def _wait_for_mappings(bridge: Bridge) -> None:
    ends = time.monotonic() + START_SECONDS
    while bridge.watching.mapping_set() is None:
        if time.monotonic() > ends:
            raise RuntimeError("the mappings were not accepted")
        time.sleep(0.05)


def write_mappings(folder: Path, count: int) -> None:
    """Write so many mappings, each for a project of its own: P0, P1 and so on."""
    for start in range(0, count, 100):
        (folder / f"more-{start}.yaml").write_text(_unwanted(range(start, min(start + 100, count))))


def _unwanted(numbers: range) -> str:
    """Return a file of mappings, each for a project of its own."""
    return "version: 1\nmappings:\n" + "".join(
        f"""  - id: more-{number}
    source: jira
    events: [created]
    when:
      - field: ticket.project
        equals: P{number}
      - field: ticket.labels
        contains: by-uid
    action: repair-by-uid
    devices:
      from: ticket.summary
      by: uid
    params:
      Mode:
        value: silent
    mode: live
"""
        for number in numbers
    )


def _fill(tx: Tx, *, count: int, state: RunState) -> None:
    newest = past.newest(tx)
    ended = state is RunState.ANSWERED
    # What has ended is no news: no window of an hour or a day counts it.
    spread = past.Spread(count=count, until=tx.now - LONG_AGO, step=timedelta())
    at = past.moment(tx.connection.dialect.name)
    old = dict.fromkeys(("created_at", "due_at", "received_at", "evaluated_at"), at) if ended else {}
    own = {
        "id": "id || '-' || n",
        "ticket_uid": "ticket_uid || '-' || n",
        "ticket_key": "ticket_key || '-' || n",
    }
    delivered = own | old | {"key": "key || '-' || n"} | ({"payload": "'{}'"} if ended else {})
    past.copy(tx.connection, deliveries, "id", newest.delivery, spread, delivered)
    run = own | old | {"delivery": "delivery || '-' || n", "state": f"'{state}'"}
    if ended:
        run |= {"ended_at": at, "intended_at": at}
    past.copy(tx.connection, runs, "id", newest.id, spread, run)
    of_run = {"run": "run || '-' || n"}
    past.copy(tx.connection, history, "run", newest.id, spread, of_run | ({"at": at} if ended else {}))
