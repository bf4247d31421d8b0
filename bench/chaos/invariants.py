"""What must hold whatever happened: asked of the simulated systems, the ledger and the logs at the end.

It must not mend anything, nor look at how the bridge works.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.chaos.installation import Installation
from bridge.ledger import queries
from bridge.ledger.tables import METADATA
from bridge.models import CommentState, DeliveryState, RunState
from bridge.sandbox import credentials as known

MOST_RUNS = 100_000
SETTLED = frozenset({RunState.ANSWERED, RunState.REFUSED, RunState.UNKNOWN, RunState.DEAD})
# What tells each end; a late answer has been told as unknown before.
TOLD = {
    RunState.ANSWERED: {"answered", "late"},
    RunState.REFUSED: {"refused"},
    RunState.UNKNOWN: {"unknown"},
    RunState.DEAD: {"dead"},
}
SECRETS = (
    known.NEXTHINK_PASSWORD,
    known.JIRA_CLOUD_TOKEN,
    known.JIRA_DATACENTER_PASSWORD,
    known.JIRA_WEBHOOK_SECRET,
    known.JIRA_AUTOMATION_TOKEN,
    known.SERVICENOW_PASSWORD,
    known.SERVICENOW_WEBHOOK_SECRET,
)
# What an account sends in a header is a secret in another dress.
DRESSED = tuple(
    header.partition(" ")[2]
    for header in (
        known.basic(known.NEXTHINK_USERNAME, known.NEXTHINK_PASSWORD),
        known.basic(known.JIRA_CLOUD_USERNAME, known.JIRA_CLOUD_TOKEN),
        known.basic(known.JIRA_DATACENTER_USERNAME, known.JIRA_DATACENTER_PASSWORD),
        known.basic(known.SERVICENOW_USERNAME, known.SERVICENOW_PASSWORD),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What came of a campaign: counts, and every breach in words, none where all held."""

    accepted: int
    runs: Counter[RunState]
    calls: int
    comments: int
    breaches: tuple[str, ...]


def stories(bridge: Installation) -> list[queries.RunStory]:
    """Return every run with its story."""
    runs = bridge.ledger.read(queries.list_runs, limit=MOST_RUNS)
    return [bridge.ledger.read(queries.run_story, run=run.id) for run in runs]


def unsettled(bridge: Installation) -> list[str]:
    """Name what has not come to its end: deliveries that wait, runs under way, comments not posted."""
    figures = bridge.ledger.read(queries.figures)
    waiting = [f"{figures.pending_deliveries} deliveries wait"] if figures.pending_deliveries else []
    return waiting + [
        f"{story.run.id} is {story.run.state} ({story.run.reason}), comments "
        f"{[(comment.state.value, comment.reason) for comment in story.comments]}"
        for story in stories(bridge)
        if story.run.state not in SETTLED
        or not story.comments
        or any(comment.state is not CommentState.POSTED for comment in story.comments)
    ]


def examine(bridge: Installation, *, least_answered: float) -> Finding:
    """Ask everybody; `least_answered` is the share of runs whose answer has to be known."""
    every = stories(bridge)
    witness = bridge.nexthink.calls()
    texts = [comment["text"] for comment in bridge.jira.comments()]
    accepted = accepted_keys(bridge)
    breaches = (
        *_actions(every, witness),
        *_deliveries(bridge, every, accepted),
        *_comments(every, texts),
        *_secrets(bridge, texts),
        *_progress(every, least_answered),
    )
    return Finding(
        accepted=len(accepted),
        runs=Counter(story.run.state for story in every),
        calls=len(witness["calls"]),
        comments=len(texts),
        breaches=breaches,
    )


def accepted_keys(bridge: Installation) -> set[str]:
    """Return the tickets of which the bridge answered a webhook with 200."""
    return {
        attempt["body"].partition('"key": "')[2].partition('"')[0]
        for attempt in bridge.jira.deliveries()
        if attempt["status"] == 200
    }


def _actions(every: list[queries.RunStory], witness: Any) -> Iterator[str]:
    """An action is sent at most once, and what is not known is called unknown."""
    for uid, times in witness["by_request_uid"].items():
        if times > 1:
            yield f"the request {uid} reached Nexthink {times} times"
    for device, times in witness["executed_by_device_and_action"].items():
        if times > 1:
            yield f"{device} got its action {times} times"
    executed = {call["request_uid"].partition("-")[0] for call in witness["calls"] if call["executed"]}
    states = {story.run.id: story.run.state for story in every}
    for run in sorted(executed):
        if run not in states:
            yield f"{run} was sent and is not in the ledger"
        elif states[run] not in {RunState.ANSWERED, RunState.UNKNOWN}:
            yield f"{run} was carried out and is called {states[run]}"
    for run, state in states.items():
        if state is RunState.ANSWERED and run not in executed:
            yield f"{run} is called answered and was never carried out"


def _deliveries(bridge: Installation, every: list[queries.RunStory], accepted: set[str]) -> Iterator[str]:
    """What was answered with 200 is there, with exactly one run for its ticket."""
    keys = Counter(story.run.ticket.key for story in every)
    yield from (f"{key} got its 200 and has no run" for key in sorted(accepted - set(keys)))
    yield from (f"{key} has {number} runs" for key, number in keys.items() if number > 1)
    lines = bridge.ledger.read(queries.list_deliveries, limit=MOST_RUNS)
    for line in lines:
        if line.state is not DeliveryState.EVALUATED:
            yield f"the delivery {line.id} is {line.state}"


def _comments(every: list[queries.RunStory], texts: list[str]) -> Iterator[str]:
    """Every comment that is owed stands in its ticket, and stands once; every end is told."""
    together = "\n".join(texts)
    for story in every:
        for comment in story.comments:
            if (times := together.count(comment.owed.marker)) != 1:
                yield f"the comment {comment.owed.marker} stands {times} times"
        occasions = {comment.owed.occasion.value for comment in story.comments}
        wanted = TOLD.get(story.run.state)
        if wanted is None:
            yield f"{story.run.id} stays {story.run.state} ({story.run.reason})"
        elif not occasions & wanted:
            yield f"{story.run.id} is {story.run.state}, and its ticket was told {sorted(occasions)}"


def _secrets(bridge: Installation, texts: list[str]) -> Iterator[str]:
    """No secret of the settings is in a log, the ledger or a comment."""
    for place, held in (
        ("log", bridge.logs()),
        ("ledger", ledger_bytes(bridge)),
        ("comments", "\n".join(texts)),
    ):
        if leaks(held):
            yield f"a secret is in the {place}"


def leaks(text: str, *more: str) -> list[str]:
    """Return the secrets that a text holds, and which of the further words."""
    return [secret for secret in (*SECRETS, *DRESSED, *more) if secret in text]


def ledger_bytes(bridge: Installation) -> str:
    """Return everything that the ledger holds, on SQLite free pages and the write-ahead log included."""
    if bridge.engine.dialect.name == "sqlite":
        files = sorted(Path(bridge.folder).glob("bridge.sqlite3*"))
        return "".join(path.read_bytes().decode("latin-1") for path in files)
    with bridge.engine.connect() as connection:
        rows = [tuple(row) for table in METADATA.sorted_tables for row in connection.execute(table.select())]
    return str(rows)


def _progress(every: list[queries.RunStory], least: float) -> Iterator[str]:
    """The bridge is not safe by doing nothing."""
    answered = sum(story.run.state is RunState.ANSWERED for story in every)
    if answered < least * len(every) or not every:
        yield f"only {answered} of {len(every)} runs were answered"
