"""L1 with many workers: four processes that admit at once never exceed a limit, on SQLite and PostgreSQL."""

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bridge.ledger import Ledger, accepting, listing, starting
from bridge.models import Layer, Limit, LimitKind, Plan, RunState, SourceName, TicketRef

ROOT = Path(__file__).resolve().parents[2]
WORKERS, RUNS = 4, 40
HOUR = timedelta(hours=1)

# One worker: it claims and admits as long as there is work, on its own connection to the ledger.
WORKER = """
import sys
from datetime import datetime, timedelta, timezone
from bridge.errors import LedgerUnavailable
from bridge.ledger import Ledger, admitting, claiming, sessions, working
from bridge.ledger.claiming import Allowance
from bridge.ledger.connecting import open_database
from bridge.models import Device, DeviceUid, Part, PortalName, SessionId
from bridge.policy import Verdict

url, name = sys.argv[1:]
ledger = Ledger(open_database(url), clock=lambda: datetime.now(timezone.utc))
session, main = SessionId(name), PortalName("main")
ledger.write(sessions.open_session, session=session, host="host", pid=1)
sys.stdin.readline()
admitted = 0
while True:
    claimed = ledger.write(
        claiming.claim, session=session, allowances=(Allowance(portal=main, runs=2),), configured=(main,)
    )
    if not claimed:
        break
    for run in claimed:
        uid = DeviceUid(f"{int(run.id[1:]) % 5:032}")
        part = Part(number=1, devices=(Device(uid=uid, name=None),), engines=None)
        admission = ledger.write(admitting.admit, run=run, parts=(part,), lasting=timedelta(seconds=80))
        ruling = admission.ruling
        if ruling.verdict is Verdict.HOLD:
            ledger.write(
                working.hold, run=run, reason=ruling.reason, detail=None, due_at=ruling.until, comment=None
            )
        admitted += ruling.verdict is Verdict.GO
print(admitted)
ledger.stop()
"""


@pytest.mark.parametrize(
    ("limit", "most"),
    [
        (Limit(kind=LimitKind.PER_HOUR, layer=Layer.BRIDGE, most=7, window=HOUR), 7),
        (Limit(kind=LimitKind.PER_HOUR, layer=Layer.ACTION, most=2, window=HOUR), 2),
        (Limit(kind=LimitKind.COOLDOWN, layer=Layer.MAPPING, most=1, window=HOUR), 5),
        (Limit(kind=LimitKind.DEVICES_PER_DAY, layer=Layer.BRIDGE, most=3, window=24 * HOUR), None),
    ],
    ids=("per_hour", "per_hour_of_an_action", "cooldown", "devices_per_day"),
)
def test_l1_four_workers_together_never_exceed_a_limit(
    database_url: str,
    ledger: Ledger,
    accept: Callable[..., accepting.Accepted],
    make_run: Callable[..., starting.NewRun],
    make_plan: Callable[..., Plan],
    clock: Any,
    limit: Limit,
    most: int | None,
) -> None:
    clock.now = datetime.now(UTC)
    for number in range(RUNS):
        ticket = TicketRef(source=SourceName("jira"), uid=str(number), key=f"SUP-{number}")
        plan = make_plan(limits=(limit,), occurred_at=clock.now, ticket=ticket)
        accept(make_run(f"r{number}", plan=plan, key=f"changelog:{number}"))
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, database_url, f"s{number}"],
            cwd=ROOT,
            env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(WORKERS)
    ]
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    answers = [worker.communicate(timeout=120)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * WORKERS
    sent = [
        run for run in ledger.read(listing.page_of_runs, limit=RUNS).runs if run.state is RunState.SENDING
    ]
    assert len(sent) == sum(map(int, answers))
    if most is not None:
        assert len(sent) == most
    else:
        assert len({int(run.id[1:]) % 5 for run in sent}) == limit.most
