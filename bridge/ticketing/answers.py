"""Read a ticket system's answer: the JSON of a good one, and what a bad one means for who asked.

It must not decide when to try again; that is the outbox's business, which gets what the answer says.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

from bridge.errors import Reason
from bridge.models import HttpResponse, Json, NotPosted, NotRead, Posted, PostFailure
from bridge.retries import read_retry_after
from bridge.ticketing.foreign_text import one_line

StatusTable: TypeAlias = Mapping[int, tuple[PostFailure, Reason]]

# What is remembered of a change that the ticket showed already.
NOTHING_TO_DO: Final = "nothing to do"

_DETAIL_LENGTH: Final = 300
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")


def read_json(response: HttpResponse) -> Json:
    """Return the JSON of an answer in UTF-8, or None where it has none.

    A NUL and half of a surrogate pair, which no ledger can hold, come back as the replacement character: what
    anybody may type into one ticket must not make the reading of all others fail.
    """
    text = response.body.decode("utf-8-sig", "replace")
    try:
        value: Json = json.loads(text)
        # Only an escape can bring such a character in.
        return _storable(value) if "\\u" in text else value
    except (ValueError, RecursionError):
        return None


def _storable(value: Json) -> Json:
    if isinstance(value, str):
        return _UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_storable(each) for each in value]
    if isinstance(value, dict):
        return {_UNSTORABLE.sub("\ufffd", name): _storable(each) for name, each in value.items()}
    return value


def refusal(response: HttpResponse, table: StatusTable, message: str | None) -> NotPosted:
    """Say what a status that is not success means; `message` is the system's own explanation."""
    failure, reason = table.get(response.status) or _by_class(response.status)
    detail = f"HTTP {response.status}"
    if message:
        detail = f"{detail}: {one_line(message, _DETAIL_LENGTH)}"
    wait = read_retry_after(response) if failure is PostFailure.LATER else None
    return NotPosted(failure=failure, reason=reason, detail=detail, retry_after=wait)


def unreadable(response: HttpResponse) -> NotPosted:
    """Say that a success cannot be read, so that it is not known what it stands for."""
    return NotPosted(
        failure=PostFailure.LATER,
        reason=Reason.ANSWER_UNREADABLE,
        detail=f"HTTP {response.status} without the content that the contract promises",
    )


def not_read(refused: NotPosted, *, of_ticket: bool = False) -> NotRead:
    """Return a refusal to tell something; a ticket that is not found is gone, or hidden from us."""
    return NotRead(
        gone=of_ticket and refused.reason is Reason.NOT_FOUND,
        reason=refused.reason,
        detail=refused.detail,
        retry_after=refused.retry_after,
    )


def not_understood(response: HttpResponse) -> NotRead:
    """Say that a success does not tell what was asked, so that it is not known."""
    return not_read(unreadable(response))


def nobody() -> NotRead:
    """Say that a person is not named in a way that the system could be asked about."""
    detail = "the ticket system does not say which account this is"
    return NotRead(gone=False, reason=Reason.VALUE_MISSING, detail=detail)


def incomplete(detail: str) -> NotRead:
    """Say that more was kept than is read, so that the rest is not known."""
    return NotRead(gone=False, reason=Reason.ANSWER_TOO_LARGE, detail=detail)


def rejected(reason: Reason, detail: str) -> NotPosted:
    """Say that something can never be written as it is wanted; the detail may quote the ticket system."""
    said = one_line(detail, _DETAIL_LENGTH)
    return NotPosted(failure=PostFailure.PERMANENT, reason=reason, detail=said)


def closing(written: Sequence[str], refused: Sequence[NotPosted]) -> Posted | NotPosted:
    """Return what a change in parts came to: what was written, or every refusal in one and what stands."""
    if not refused:
        return Posted(id=", ".join(written) or NOTHING_TO_DO)
    later = next((each for each in refused if each.failure is PostFailure.LATER), refused[0])
    stands = [f"written all the same: {', '.join(written)}"] if written else []
    return replace(later, detail="; ".join((*(each.detail for each in refused), *stands)))


def _by_class(status: int) -> tuple[PostFailure, Reason]:
    """Judge a status that the system's table does not name."""
    if 300 <= status < 400:
        # A single sign-on page or a wrong address, which a person can mend.
        return PostFailure.LATER, Reason.REDIRECTED
    if 400 <= status < 500:
        return PostFailure.PERMANENT, Reason.REJECTED
    if status >= 500:
        return PostFailure.LATER, Reason.SERVER_ERROR
    return PostFailure.LATER, Reason.ANSWER_UNREADABLE
