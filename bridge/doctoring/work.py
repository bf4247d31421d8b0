"""What the ledger says of the work itself: whether somebody does it, and what waits for a person.

It must not change a run or a comment.
"""

from collections.abc import Iterator

from bridge.doctoring.findings import Finding, good, warning
from bridge.ledger.queries import Figures
from bridge.models import RunState

# States that wait for a person, and where each way out stands.
_WAITING = {
    RunState.UNKNOWN: "see `bridge runs --state unknown`, then `bridge runs RUN`",
    RunState.HELD: "see `bridge runs --state held`, then `bridge runs RUN`",
    RunState.DEAD: "see `bridge runs --state dead`, then the worker's log",
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
    if not any(states.get(state, 0) for state in _WAITING):
        yield good("runs", "none is unknown, held or dead")
    if figures.undeliverable:
        detail = f"{figures.undeliverable} undeliverable"
        yield warning("comments", detail, "`bridge runs RUN` of the ticket's run says why")
    else:
        yield good("comments", "none is undeliverable")
