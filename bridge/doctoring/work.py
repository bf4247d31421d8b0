"""What the ledger says of the work itself: whether somebody does it, and what waits for a person.

It must not change a run or a comment.
"""

from collections.abc import Iterator

from bridge.doctoring.findings import Finding, good, warning
from bridge.errors import Reason
from bridge.ledger.queries import Figures
from bridge.models import RunState

# States that wait for a person, and where each way out stands.
_WAITING = {
    RunState.UNKNOWN: "see `bridge runs --state unknown`, then `bridge runs RUN`",
    RunState.DEAD: "see `bridge runs --state dead`, then the worker's log",
}

_HELD = "see `bridge runs --state held`, then `bridge runs RUN`"
# What lets held runs go on, by what they wait for.
_OF_HELD = {
    Reason.PAUSED: "`bridge pauses` says why, `bridge resume` lifts it",
    Reason.OVER_LIMIT: "they go on when the limit allows; `bridge release RUN --reason TEXT` lets one pass",
    Reason.AWAITING_APPROVAL: "somebody else than who asked approves in the ticket or with `bridge approve`",
}


def examine(figures: Figures, *, worker_seconds: float) -> Iterator[Finding]:
    """Yield how the work stands; a worker whose beat is older than `worker_seconds` is not alive."""
    alive = [
        session.host
        for session in figures.sessions
        if (figures.now - session.beat_at).total_seconds() <= worker_seconds
    ]
    if alive:
        yield good("workers", f"{len(alive)} alive, on {', '.join(sorted(set(alive)))}")
    else:
        yield warning("workers", "none is alive: nothing is sent, no comment written", "run `bridge worker`")
    states = dict(figures.runs)
    for state, way_out in _WAITING.items():
        count = states.get(state, 0)
        if count:
            yield warning("runs", f"{count} {state}", way_out)
    for held in figures.held:
        yield warning("runs", f"{held.count} held for {held.reason}", _OF_HELD.get(held.reason, _HELD))
    if not figures.held and not any(states.get(state, 0) for state in _WAITING):
        yield good("runs", "none is unknown, held or dead")
    if figures.undeliverable:
        detail = f"{figures.undeliverable} undeliverable"
        yield warning("comments", detail, "`bridge runs RUN` of the ticket's run says why")
    else:
        yield good("comments", "none is undeliverable")
