"""Turns frozen values into JSON columns and back, with pydantic, and rows into values.

It must not run statements.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import structlog
from pydantic import TypeAdapter
from sqlalchemy import RowMapping

from bridge.errors import Reason
from bridge.models import (
    Call,
    CallResult,
    CallState,
    Comment,
    CommentState,
    Delivery,
    DeliveryId,
    Identity,
    MappingId,
    Occasion,
    OwedComment,
    Part,
    Person,
    Plan,
    Run,
    RunId,
    RunState,
    SessionId,
    SourceName,
    TicketRef,
    Visibility,
    WriteBack,
)

log = structlog.get_logger(__name__)

# A row by column name, as the driver or as SQLAlchemy gives it.
Stored: TypeAlias = Mapping[str, Any] | RowMapping

PLAN: Final = TypeAdapter(Plan)
PART: Final = TypeAdapter(Part)
RESULT: Final = TypeAdapter(CallResult)
TICKET: Final = TypeAdapter(TicketRef)
PERSON: Final = TypeAdapter(Person)
CHANGE: Final = TypeAdapter(WriteBack)
PARTS: Final = TypeAdapter(tuple[Part, ...])
IDENTITIES: Final = TypeAdapter(tuple[Identity, ...])


def to_text(adapter: TypeAdapter[Any], value: Any) -> str:
    """Return a value as JSON text."""
    return adapter.dump_json(value).decode()


def run_of(row: Stored) -> Run:
    """Return a row of `runs` as a value."""
    return Run(
        id=RunId(row["id"]),
        delivery=DeliveryId(row["delivery"]),
        ticket=TICKET.validate_json(row["ticket"]),
        mapping=MappingId(row["mapping"]),
        key=row["key"],
        state=RunState(row["state"]),
        reason=_reason(row["reason"]),
        detail=row["detail"],
        plan=PLAN.validate_json(row["plan"]) if row["plan"] else None,
        owner=SessionId(row["owner"]) if row["owner"] else None,
        crashes=row["crashes"],
        tries=row["tries"],
        due_at=row["due_at"],
        created_at=row["created_at"],
        ended_at=row["ended_at"],
        waived=bool(row["waived"]),
        replay_of=RunId(row["replay_of"]) if row["replay_of"] else None,
        purged_at=row["purged_at"],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRuns:
    """Rows of `runs` as values, and the ids of those that this version cannot read."""

    runs: tuple[Run, ...]
    unreadable: tuple[RunId, ...]


def runs_of(rows: Iterable[Stored]) -> ReadRuns:
    """Read rows one by one: one that another version wrote, or that was damaged, keeps no other back."""
    found: list[Run] = []
    unreadable: list[RunId] = []
    for row in rows:
        try:
            found.append(run_of(row))
        except ValueError:
            unreadable.append(RunId(row["id"]))
    return ReadRuns(runs=tuple(found), unreadable=tuple(unreadable))


def delivery_of(row: Stored) -> Delivery:
    """Return a row of `deliveries` as it was received."""
    return Delivery(
        source=SourceName(row["source"]),
        key=row["key"],
        digest=row["digest"],
        timed=bool(row["timed"]),
        signed=bool(row["signed"]),
        recovered=bool(row["recovered"]),
        payload=json.loads(row["payload"]),
        received_at=row["received_at"],
    )


def call_of(row: Stored) -> Call:
    """Return a row of `calls` as a value."""
    return Call(
        run=RunId(row["run"]),
        part=PART.validate_json(row["content"]),
        attempt=row["attempt"],
        state=CallState(row["state"]),
        intended_at=row["intended_at"],
        latest_end=row["latest_end"],
        ended_at=row["ended_at"],
        result=RESULT.validate_json(row["result"]) if row["result"] else None,
    )


def comment_of(row: Stored) -> Comment:
    """Return a row of `comments` as a value."""
    return Comment(
        id=row["id"],
        run=RunId(row["run"]),
        ticket=TICKET.validate_json(row["ticket"]),
        owed=OwedComment(
            occasion=Occasion(row["occasion"]),
            n=row["n"],
            marker=row["marker"],
            text=row["text"],
            visibility=Visibility(row["visibility"]),
        ),
        state=CommentState(row["state"]),
        attempt=row["attempt"],
        due_at=row["due_at"],
        owed_at=row["owed_at"],
        uncertain_until=row["uncertain_until"],
        posted_id=row["posted_id"],
        reason=_reason(row["reason"]),
        change=CHANGE.validate_json(row["change"]) if row["change"] else None,
        detail=row["detail"],
    )


def comments_of(rows: Iterable[Stored]) -> tuple[Comment, ...]:
    """Read rows one by one; one that cannot be read is named in the log and keeps no other back."""
    found: list[Comment] = []
    for row in rows:
        try:
            found.append(comment_of(row))
        except ValueError:
            log.exception("comment.not_readable", run=row["run"])
    return tuple(found)


def _reason(text: str | None) -> Reason | None:
    return Reason(text) if text else None
