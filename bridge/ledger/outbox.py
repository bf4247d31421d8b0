"""The outbox: the comments and changes owed to tickets, who is at them, and what became of them (T1 to T3).

It must not make or change a comment's text.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Final

from sqlalchemy import Update, and_, bindparam, case, func, or_, select, update

from bridge.errors import LostOwnership, Reason
from bridge.ledger import Tx
from bridge.ledger.codec import CHANGE, TICKET, comments_of, to_text
from bridge.ledger.prepared import on_each
from bridge.ledger.tables import UNPOSTED, comments, is_in, runs
from bridge.ledger.waking import ring
from bridge.models import (
    Comment,
    CommentState,
    Occasion,
    OwedComment,
    RunId,
    RunState,
    SessionId,
    SourceName,
    TicketRef,
    WriteBack,
)


def _claiming(*, skip_locked: bool) -> Update:
    """Build the claim: the due comments of a source, at `most` so many, each its ticket's oldest.

    It is built once: that takes several times as long as running it. One that is being posted was due when it
    was taken, so an index by due time leads to either kind, however many wait for later.
    """
    now = bindparam("now", type_=comments.c.due_at.type)
    left_behind = and_(is_in(comments.c.state, CommentState.POSTING), comments.c.posting_until < now)
    older = comments.alias("older")
    first_of_ticket = ~(
        select(older.c.id)
        .where(
            older.c.source == comments.c.source,
            older.c.ticket_uid == comments.c.ticket_uid,
            is_in(older.c.state, *UNPOSTED),
            older.c.id < comments.c.id,
            # A change that a ticket does not take yet keeps no comment back; a change waits for its comment.
            or_(older.c.change.is_(None), comments.c.change.is_not(None)),
        )
        .exists()
    )
    due = (
        select(comments.c.id)
        .where(
            is_in(comments.c.state, *UNPOSTED),
            comments.c.source == bindparam("the_source"),
            comments.c.due_at <= now,
            or_(is_in(comments.c.state, CommentState.OWED), left_behind),
            first_of_ticket,
        )
        .order_by(comments.c.due_at, comments.c.id)
        .limit(bindparam("most"))
    )
    picked = (due.with_for_update(skip_locked=True) if skip_locked else due).cte("picked")
    return (
        update(comments)
        .where(comments.c.id.in_(select(picked.c.id)))
        .values(
            state=CommentState.POSTING,
            owner=bindparam("the_session"),
            attempt=comments.c.attempt + 1,
            posting_until=bindparam("until"),
            uncertain_until=case((left_behind, comments.c.posting_until), else_=comments.c.uncertain_until),
        )
        .returning(comments)
    )


_OWE: Final = on_each(lambda insert: insert(comments).on_conflict_do_nothing().returning(comments.c.id))
_POSTING: Final = (
    update(comments)
    .where(
        comments.c.id == bindparam("the_id"),
        comments.c.owner == bindparam("the_session"),
        comments.c.state == CommentState.POSTING,
        comments.c.attempt == bindparam("the_attempt"),
    )
    .returning(comments.c.id)
)
# SQLite has one writer, so nothing is locked there that could be passed over.
_CLAIM: Final = {"sqlite": _claiming(skip_locked=False), "postgresql": _claiming(skip_locked=True)}


def owe(tx: Tx, *, run: RunId, ticket: TicketRef, comment: OwedComment) -> bool:
    """Add a comment in the transaction that owes it; return False where this one is owed already.

    The run must have its new state by now: what is to be changed in the ticket after that outcome is owed
    with the comment, behind it.
    """
    made = _add(tx, run, ticket, comment)
    if made and comment.after:
        state = tx.connection.execute(select(runs.c.state).where(runs.c.id == run)).scalar_one()
        for change in (change for change in comment.after if change.outcome == state):
            # A run may wait for one reason after the other; its ticket is changed for that once.
            if state != RunState.HELD or not _was_owed(tx, run, change):
                _owe_change(tx, run, ticket, comment, change)
    ring(tx)
    return made


def is_owed(tx: Tx, *, run: RunId, occasion: Occasion, n: int) -> bool:
    """Say whether a comment is owed, or was."""
    found = select(comments.c.id).where(
        comments.c.run == run, comments.c.occasion == occasion, comments.c.n == n
    )
    return tx.connection.execute(found).scalar() is not None


def _was_owed(tx: Tx, run: RunId, change: WriteBack) -> bool:
    text = to_text(CHANGE, change)
    found = select(comments.c.id).where(comments.c.run == run, comments.c.change == text)
    return tx.connection.execute(found.limit(1)).scalar() is not None


def _owe_change(tx: Tx, run: RunId, ticket: TicketRef, comment: OwedComment, change: WriteBack) -> None:
    newest = select(func.max(comments.c.n)).where(
        comments.c.run == run, comments.c.occasion == Occasion.AFTER
    )
    n = (tx.connection.execute(newest).scalar() or 0) + 1
    row = replace(comment, occasion=Occasion.AFTER, n=n, marker="", text=in_words(change), after=())
    _add(tx, run, ticket, row, change)


def _add(
    tx: Tx, run: RunId, ticket: TicketRef, comment: OwedComment, change: WriteBack | None = None
) -> bool:
    made = tx.value(
        _OWE,
        {
            "run": run,
            "source": ticket.source,
            "ticket_uid": ticket.uid,
            "ticket": to_text(TICKET, ticket),
            "occasion": comment.occasion,
            "n": comment.n,
            "marker": comment.marker,
            "text": comment.text,
            "visibility": comment.visibility,
            "change": to_text(CHANGE, change) if change else None,
            "state": CommentState.OWED,
            "attempt": 0,
            "owed_at": tx.now,
            "due_at": tx.now,
        },
    )
    return made is not None


def in_words(change: WriteBack) -> str:
    """Return a change as people read it in the story of a run."""
    parts = (
        ("label", change.label),
        ("assigned to", change.assign_to),
        ("group", change.assign_group),
        ("state", change.state),
    )
    return ", ".join(f"{name} {wanted}" for name, wanted in parts if wanted)


def claim_comments(
    tx: Tx, *, session: SessionId, limit: int, rooms: Mapping[SourceName, int], lasting: timedelta
) -> tuple[Comment, ...]:
    """Take due comments and changes, the oldest of each ticket, and mark them as posting (T1, T2).

    `limit` bounds all together, `rooms` those of each source, which are asked in that order. `lasting` is the
    longest that the posting of one can take. One that is still being posted after that was left behind by its
    session: it is taken again, as one that may stand already.
    """
    claimed: list[Comment] = []
    given = {"the_session": session, "now": tx.now, "until": tx.now + lasting}
    for source, room in rooms.items():
        most = min(room, limit - len(claimed))
        if most > 0:
            rows = tx.run(_CLAIM, {**given, "the_source": source, "most": most})
            claimed += comments_of(rows)
    return tuple(sorted(claimed, key=lambda comment: comment.id))


def posted(tx: Tx, *, comment: Comment, session: SessionId, posted_id: str) -> None:
    """Close a comment as standing in its ticket."""
    _change(
        tx,
        comment,
        session,
        state=CommentState.POSTED,
        posted_id=posted_id,
        posted_at=tx.now,
        owner=None,
        reason=None,
    )
    tx.count(_kind(comment), comment.ticket.source, CommentState.POSTED)
    _note(tx, comment, CommentState.POSTED, None)


def try_later(
    tx: Tx,
    *,
    comment: Comment,
    session: SessionId,
    delay: timedelta,
    reason: Reason,
    detail: str,
    uncertain: bool,
) -> None:
    """Give a comment back; where its request may have been taken it is due only after its latest end (T1)."""
    due_at = tx.now + delay
    until = comment.uncertain_until
    if uncertain:
        until = tx.connection.execute(
            select(comments.c.posting_until).where(comments.c.id == comment.id)
        ).scalar_one()
        due_at = max(due_at, until)
    _change(
        tx,
        comment,
        session,
        state=CommentState.OWED,
        due_at=due_at,
        owner=None,
        reason=reason,
        detail=detail,
        uncertain_until=until,
    )


def undeliverable(tx: Tx, *, comment: Comment, session: SessionId, reason: Reason, detail: str) -> None:
    """Close a comment that will never be taken, so that the next one of its ticket can go (T2)."""
    _change(
        tx,
        comment,
        session,
        state=CommentState.UNDELIVERABLE,
        owner=None,
        reason=reason,
        detail=detail,
    )
    tx.count(_kind(comment), comment.ticket.source, CommentState.UNDELIVERABLE)
    _note(tx, comment, CommentState.UNDELIVERABLE, reason)


def suspect_all_owed(tx: Tx) -> None:
    """Have unposted comments looked for before they are posted: tickets may be ahead of the ledger (W7)."""
    tx.connection.execute(
        update(comments).where(is_in(comments.c.state, *UNPOSTED)).values(uncertain_until=tx.now)
    )


def _change(tx: Tx, comment: Comment, session: SessionId, **values: object) -> None:
    changed = tx.value(
        _POSTING, {"the_id": comment.id, "the_session": session, "the_attempt": comment.attempt, **values}
    )
    if changed is None:
        raise LostOwnership(f"comment {comment.id} is not being posted by this session")


def _note(tx: Tx, comment: Comment, state: CommentState, reason: Reason | None) -> None:
    tx.note(
        run=comment.run,
        event=f"{_kind(comment)}_{state}",
        detail=reason or comment.owed.occasion,
        # What is written may name a person, so the audit holds only which of the run's changes it is.
        evidence={"n": comment.owed.n} if comment.change else {"marker": comment.owed.marker},
    )


def _kind(comment: Comment) -> str:
    return "change" if comment.change else "comment"
