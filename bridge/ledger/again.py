"""A person's second send: an answered run is queued again for the Engines that missed it (S9).

It must not choose the Engines by itself; the same pure choice holds for the mapping's own count.
"""

from bridge.errors import NotPossible
from bridge.ledger import Tx, people
from bridge.ledger.attempts import add_parts
from bridge.ledger.outbox import owe
from bridge.ledger.people import Act
from bridge.ledger.working import calls_of, find_run
from bridge.models import OwedComment, Part, Plan, RunId, RunState
from bridge.sending_again import parts_to_send_again


def send_again(
    tx: Tx,
    *,
    run: RunId,
    plan: Plan,
    attempt: int,
    parts: tuple[Part, ...],
    act: Act,
    comment: OwedComment,
) -> None:
    """Queue an answered run with a further attempt of `parts`; every limit is asked again before it is sent.

    `plan` is that of the run as the rules of now bound it; `attempt` is how many requests had been made when
    the person looked. Raises NotPossible where there was
    another since then, where the run is in another state, or where the Engines that missed it are others.
    """
    seen = find_run(tx, run=run)
    people.move(tx, seen, (RunState.ANSWERED,), RunState.QUEUED, act)
    # Counted behind the move, which holds the run's row: an attempt that came in between is seen.
    made = people.attempts_made(tx, run=run)
    if made != attempt:
        raise NotPossible(f"run {run} is at attempt {made}, not {attempt} (look again, then decide)")
    if parts_to_send_again(plan, calls_of(tx, run=run)) != parts:
        raise NotPossible(f"run {run} had another answer meanwhile (look again, then decide)")
    add_parts(tx, run=run, parts=parts)
    owe(tx, run=run, ticket=seen.ticket, comment=comment)
