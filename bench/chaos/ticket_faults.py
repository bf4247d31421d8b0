"""What becomes of tickets: told of often, in the wrong order, deleted, closed, or deadly to their workers.

It must not touch the ledger.
"""

import time
import urllib.request
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from bench.chaos.installation import free_port
from bench.chaos.outside_faults import MANY
from bench.chaos.settling import let_pass
from bench.chaos.stage import Stage
from bench.chaos.tickets import device_of
from bridge.models import RunState
from bridge.sandbox import credentials as known

# How long a poisoned run may take to be given up; a worker takes seconds to start.
GIVEN_UP_SECONDS = 90.0
HOURS_AWAY = 8
HOLDER = text(
    "SELECT s.pid FROM runs r JOIN sessions s ON r.owner = s.id "
    "WHERE r.ticket_key = :key AND r.state = 'claimed' AND s.ended_at IS NULL"
)


def fifty_at_once(stage: Stage) -> None:
    """The same delivery, fifty times at once."""
    stage.ticket(copies=50)
    stage.did["fifty at once"] += 1


def reverse(stage: Stage) -> None:
    """Three changes of one ticket, told in the wrong order, one of them twice."""
    jira, key = stage.bridge.jira, stage.next_key()
    # Sent to where nobody listens, and brought on from there: Data Center does not try again.
    nowhere = f"http://127.0.0.1:{free_port()}/webhooks/datacenter"
    stage.bridge.ticket("datacenter", key=key, devices=(device_of(key),), to_url=nowhere)
    target = {"url": nowhere, "flavour": "datacenter", "secret": known.JIRA_WEBHOOK_SECRET}
    for summary in ("Word closes", "Word closes again"):
        change = {"field": "summary", "before": "Word", "after": summary}
        jira.webhook(
            kind="issue_updated",
            key=key,
            fields={"summary": summary},
            changes=[change],
            target=target,
            wait=True,
        )
    told = [each for each in jira.deliveries() if each["url"] == nowhere]
    for each in (*reversed(told), stage.chance.choice(told)):
        if _bring(stage, each):
            stage.notes.accepted.add(key)
    stage.did["told in the wrong order"] += 1


def _bring(stage: Stage, delivery: Any) -> bool:
    request = urllib.request.Request(
        stage.bridge.webhook_url("datacenter"), data=delivery["body"].encode(), headers=delivery["headers"]
    )
    try:
        with stage.bridge.opener.open(request, timeout=20) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def remove(stage: Stage) -> None:
    """A ticket of which a run is under way is deleted, or closed for comments."""
    fresh = [key for key in stage.keys[-4:] if key not in stage.notes.gone]
    if not fresh:
        return
    jira, key = stage.bridge.jira, stage.chance.choice(fresh)
    stage.notes.gone.add(key)
    if stage.chance.random() < 0.5:
        jira.call("DELETE", f"issues/{key}")
        stage.did["ticket deleted"] += 1
    else:
        fields = jira.call("GET", f"issues/{key}")["fields"]
        jira.call("PUT", "issues", {"key": key, "fields": fields, "open_for_comments": False})
        stage.did["ticket closed for comments"] += 1


def stay_away(stage: Stage) -> None:
    """The ticket system answers nothing for eight hours, which are skipped one by one."""
    for kind, options in (("reset_before_read", {"times": 20}), ("status", {"status": 503, "times": MANY})):
        stage.bridge.jira.fault(kind, path="/rest/*", **options)
    try:
        for _ in range(HOURS_AWAY):
            stage.pause(1.0, 2.0)
            let_pass(stage, seconds=3_600)
            stage.did["hours away"] += 1
    finally:
        stage.bridge.jira.clear_faults()


def poison(stage: Stage) -> None:
    """A run whose every worker is killed while it has it, until the run is given up."""
    key = stage.next_key()
    # Its device is looked up slowly, so that whoever has the run can be found and killed in time.
    stage.bridge.nexthink.fault(
        "delay", seconds=1.5, times=MANY, path="/nxql/*", body_contains=device_of(key)
    )
    stage.bridge.ticket(key=key, devices=(device_of(key),))
    stage.notes.poisoned.add(key)
    ends = time.monotonic() + GIVEN_UP_SECONDS
    while time.monotonic() < ends:
        stage.tend()
        for name in _holders(stage, key):
            stage.kill(name)
        if any(story.run.state is RunState.DEAD for story in stage.bridge.stories(key)):
            stage.did["run given up"] += 1
            return
        time.sleep(0.02)
    stage.breaches.append(f"{key} kills its workers and is not given up")


def _holders(stage: Stage, key: str) -> list[str]:
    try:
        with stage.bridge.engine.connect() as connection:
            pids = set(connection.execute(HOLDER, {"key": key}).scalars())
    except DBAPIError:
        return []
    return [
        name
        for name in stage.workers
        if stage.bridge.running(name) and stage.bridge.processes[name].pid in pids
    ]
