"""What must hold whatever happened: asked of the simulated systems, the ledger and the logs at the end.

It must not mend anything, nor look at how the bridge works.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.chaos.house import DEADLINE_SECONDS
from bench.chaos.installation import Installation
from bench.chaos.tickets import device_uid_of
from bridge.ledger import listing, queries
from bridge.ledger.tables import METADATA
from bridge.models import Call, CommentState, DeliveryState, RunState
from bridge.sandbox import credentials as known

MOST_RUNS = 100_000
SETTLED = frozenset(
    {RunState.ANSWERED, RunState.REFUSED, RunState.UNKNOWN, RunState.CANCELLED, RunState.DEAD}
)
# What tells each end; a late answer has been told as unknown before.
TOLD = {
    RunState.ANSWERED: {"answered", "late"},
    RunState.REFUSED: {"refused"},
    RunState.UNKNOWN: {"unknown"},
    RunState.CANCELLED: {"cancelled"},
    RunState.DEAD: {"dead"},
}
# An address to which no answer may lead; the simulated Jira sees who comes.
ELSEWHERE = "/elsewhere"
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


@dataclass(slots=True, kw_only=True)
class Notes:
    """Keys of the tickets of which the campaign knows more than the simulated systems.

    `accepted`: it got a 200 for them itself. `gone`: deleted or closed, so that their comments may be
    undeliverable. `poisoned`: their runs had worker after worker killed. `forgotten`: the ledger was put back
    to before their action ran.
    """

    accepted: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    poisoned: set[str] = field(default_factory=set)
    forgotten: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What came of a campaign: counts, and every breach in words, none where all held.

    `lateness` is by how many seconds the slowest call was recorded after its deadline, negative where before.
    """

    accepted: int
    runs: Counter[RunState]
    calls: int
    comments: int
    undeliverable: int
    lateness: float
    breaches: tuple[str, ...]


def stories(bridge: Installation) -> list[queries.RunStory]:
    """Return every run with its story."""
    runs = bridge.ledger.read(listing.page_of_runs, limit=MOST_RUNS).runs
    return [bridge.ledger.read(queries.run_story, run=run.id) for run in runs]


def unsettled(bridge: Installation, notes: Notes) -> list[str]:
    """Name what has not come to its end: deliveries that wait, runs under way, comments not posted."""
    figures = bridge.ledger.read(queries.figures)
    waiting = [f"{figures.pending_deliveries} deliveries wait"] if figures.pending_deliveries else []
    return waiting + [
        f"{story.run.id} is {story.run.state} ({story.run.reason}), comments "
        f"{[(comment.state.value, comment.reason) for comment in story.comments]}"
        for story in stories(bridge)
        if story.run.state not in SETTLED
        or not story.comments
        or any(comment.state not in _endings(story, notes) for comment in story.comments)
    ]


def _endings(story: queries.RunStory, notes: Notes) -> set[CommentState]:
    """Return how a comment of a run may end."""
    gone = story.run.ticket.key in notes.gone
    return {CommentState.POSTED, CommentState.UNDELIVERABLE} if gone else {CommentState.POSTED}


def examine(bridge: Installation, notes: Notes, *, least_answered: float) -> Finding:
    """Ask everybody; `least_answered` is the share of runs whose answer has to be known."""
    every = stories(bridge)
    witness = bridge.nexthink.calls()
    texts = [comment["text"] for comment in bridge.jira.comments()]
    accepted = accepted_keys(bridge) | notes.accepted
    slowest = max((_lateness(call) for story in every for call in story.calls), default=-DEADLINE_SECONDS)
    breaches = (
        *_actions(every, witness, notes),
        *_deliveries(bridge, every, accepted - notes.forgotten),
        *_comments(every, texts, notes),
        *_secrets(bridge, texts),
        *_lured(bridge),
        *_progress(every, least_answered),
    )
    return Finding(
        accepted=len(accepted),
        runs=Counter(story.run.state for story in every),
        calls=len(witness["calls"]),
        comments=len(texts),
        undeliverable=sum(
            comment.state is CommentState.UNDELIVERABLE for story in every for comment in story.comments
        ),
        lateness=slowest,
        breaches=breaches,
    )


def accepted_keys(bridge: Installation) -> set[str]:
    """Return the tickets of which the bridge answered a webhook with 200."""
    return {
        attempt["body"].partition('"key": "')[2].partition('"')[0]
        for attempt in bridge.jira.deliveries()
        if attempt["status"] == 200
    }


def _lateness(call: Call) -> float:
    """Return by how many seconds a call that its own sender ended was recorded after its deadline."""
    if call.result is None or call.intended_at is None or call.ended_at is None:
        return -DEADLINE_SECONDS
    return (call.ended_at - call.intended_at).total_seconds() - DEADLINE_SECONDS


def _lured(bridge: Installation) -> Iterator[str]:
    """A redirect is not followed."""
    for request in bridge.jira.requests():
        if request["path"] == ELSEWHERE:
            yield "a redirect was followed"


def _actions(every: list[queries.RunStory], witness: Any, notes: Notes) -> Iterator[str]:
    """An action is sent at most once, and what is not known is called unknown."""
    forgotten = {device_uid_of(key) for key in notes.forgotten}
    for uid, times in witness["by_request_uid"].items():
        if times > 1:
            yield f"the request {uid} reached Nexthink {times} times"
    for executed, times in witness["executed_by_device_and_action"].items():
        if times > 1 and executed.partition(":")[0] not in forgotten:
            yield f"{executed} was carried out {times} times"
    done = [call for call in witness["calls"] if call["executed"]]
    states: dict[str, RunState] = {story.run.id: story.run.state for story in every}
    known = {_run_of(call) for call in done if not forgotten.intersection(call["device_uids"])}
    for run in sorted(known - set(states)):
        yield f"{run} was sent and is not in the ledger"
    for run in sorted(known & set(states)):
        if states[run] not in {RunState.ANSWERED, RunState.UNKNOWN}:
            yield f"{run} was carried out and is called {states[run]}"
    answered = {run for run, state in states.items() if state is RunState.ANSWERED}
    for run in sorted(answered - set(map(_run_of, done))):
        yield f"{run} is called answered and was never carried out"


def _run_of(call: Any) -> str:
    run: str = call["request_uid"].partition("-")[0]
    return run


def _deliveries(bridge: Installation, every: list[queries.RunStory], accepted: set[str]) -> Iterator[str]:
    """What was answered with 200 is there, with exactly one run for its ticket."""
    keys = Counter(story.run.ticket.key for story in every)
    yield from (f"{key} got its 200 and has no run" for key in sorted(accepted - set(keys)))
    yield from (f"{key} has {number} runs" for key, number in keys.items() if number > 1)
    lines = bridge.ledger.read(listing.page_of_deliveries, limit=MOST_RUNS).deliveries
    for line in lines:
        if line.state is not DeliveryState.EVALUATED:
            yield f"the delivery {line.id} is {line.state}"


def _comments(every: list[queries.RunStory], texts: list[str], notes: Notes) -> Iterator[str]:
    """Every comment that is owed stands in its ticket, and stands once; every end is told."""
    together = "\n".join(texts)
    for story in every:
        run = story.run
        least = 0 if run.ticket.key in notes.gone else 1
        for comment in story.comments:
            if not least <= (times := together.count(comment.owed.marker)) <= 1:
                yield f"the comment {comment.owed.marker} stands {times} times"
        occasions = {comment.owed.occasion.value for comment in story.comments}
        wanted = TOLD.get(run.state)
        if wanted is None:
            yield f"{run.id} stays {run.state} ({run.reason})"
        elif not occasions & wanted:
            yield f"{run.id} is {run.state}, and its ticket was told {sorted(occasions)}"
        if notes.poisoned and run.state is RunState.DEAD and run.ticket.key not in notes.poisoned:
            yield f"{run.id} was given up, though another run killed its worker"


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
