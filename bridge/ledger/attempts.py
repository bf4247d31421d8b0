"""The attempts of a run's parts that are planned: added, given up, and when the next may begin (S4, S7).

It must not say whether one may be sent; the policy does.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from sqlalchemy import bindparam, update

from bridge.ledger import Tx
from bridge.ledger.codec import PART, to_text
from bridge.ledger.tables import calls, runs
from bridge.ledger.working import calls_of
from bridge.models import Call, CallState, Part, RunId

# What was sent in these states may still arrive until its latest end (S4).
_OPEN_ENDED = frozenset({CallState.INTENDED, CallState.UNKNOWN})
_ADD: Final = calls.insert().inline()
# An attempt; what is set comes as parameters.
ONE_CALL: Final = update(calls).where(
    calls.c.run == bindparam("of_run"),
    calls.c.part == bindparam("of_part"),
    calls.c.attempt == bindparam("of_attempt"),
)
_PLANNED: Final = update(calls).where(calls.c.run == bindparam("of_run"), calls.c.state == CallState.PLANNED)


def may_begin(tx: Tx, standing: tuple[Call, ...]) -> datetime:
    """Return when a further attempt may begin: not before the latest end of any that may go on (S4)."""
    ends = (call.latest_end for call in standing if call.state in _OPEN_ENDED)
    return max((end for end in ends if end is not None), default=tx.now)


def add_attempt(tx: Tx, *, call: Call) -> None:
    """Plan a further attempt of a part that is closed."""
    plan_call(tx, run=call.run, part=call.part, attempt=call.attempt + 1)


def add_parts(tx: Tx, *, run: RunId, parts: Iterable[Part]) -> None:
    """Plan a second send of each part: the content is the part's own, its attempt the next one."""
    limit_again(tx, run=run)
    newest = {call.part.number: call.attempt for call in calls_of(tx, run=run)}
    for part in parts:
        plan_call(tx, run=run, part=part, attempt=newest[part.number] + 1)


def limit_again(tx: Tx, *, run: RunId) -> None:
    """Let limits hold again for a run: a person let one send pass them by, not every one after it."""
    tx.connection.execute(update(runs).where(runs.c.id == run).values(waived=0))


def plan_call(tx: Tx, *, run: RunId, part: Part, attempt: int) -> Call:
    """Add a planned attempt of a part, and return it."""
    return _add(tx, Call(run=run, part=part, attempt=attempt, state=CallState.PLANNED))


def intend_planned(tx: Tx, *, call: Call, latest_end: datetime) -> None:
    """Let a planned attempt be sent now."""
    intended = {"state": CallState.INTENDED, "intended_at": tx.now, "latest_end": latest_end}
    tx.run(ONE_CALL, {**place_of(call), **intended})


def place_of(call: Call) -> dict[str, object]:
    """Return what names a call to `ONE_CALL`."""
    return {"of_run": call.run, "of_part": call.part.number, "of_attempt": call.attempt}


def intend_call(tx: Tx, *, run: RunId, part: Part, latest_end: datetime) -> Call:
    """Add the first attempt of a part as one that is sent now, and return it."""
    return _add(
        tx,
        Call(
            run=run,
            part=part,
            attempt=1,
            state=CallState.INTENDED,
            intended_at=tx.now,
            latest_end=latest_end,
        ),
    )


def _add(tx: Tx, call: Call) -> Call:
    tx.run(
        _ADD,
        {
            "run": call.run,
            "part": call.part.number,
            "attempt": call.attempt,
            "content": to_text(PART, call.part),
            "state": call.state,
            "intended_at": call.intended_at,
            "latest_end": call.latest_end,
        },
    )
    return call


def drop_planned(tx: Tx, *, run: RunId) -> None:
    """Give up the parts of a run that were never sent."""
    tx.run(_PLANNED, {"of_run": run, "state": CallState.DROPPED, "ended_at": tx.now})
