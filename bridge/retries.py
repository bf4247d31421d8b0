"""When something that may be tried again is tried again; a retry is the answer to a question.

It must not decide whether something may be repeated at all (an Act call whose bytes left never is), and it
knows no clock and no chance: both arrive as arguments.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from bridge.models import HttpResponse


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Waits double from `first` up to `longest`, until `lasting` after the first try."""

    first: timedelta
    longest: timedelta
    lasting: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryAt:
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveUp:
    """The time is over; `since` is the first try."""

    since: datetime


COMMENTS: Final = Policy(
    first=timedelta(seconds=30), longest=timedelta(minutes=30), lasting=timedelta(hours=72)
)
# What a server asks for is honoured, but not for ever: a typing mistake there must not silence a ticket.
LONGEST_ASKED: Final = timedelta(hours=1)
# Waits end by this share earlier at most, so that what failed together does not come back together.
_SPREAD: Final = 0.5


def calls(max_age: timedelta) -> Policy:
    """Return how calls that provably never left, and reads, are tried again: until the run is too old."""
    return Policy(first=timedelta(seconds=5), longest=timedelta(minutes=5), lasting=max_age)


def decide(
    policy: Policy,
    attempt: int,
    now: datetime,
    *,
    first_at: datetime,
    jitter: float,
    retry_after: timedelta | None = None,
) -> RetryAt | GiveUp:
    """Say when to try again after the `attempt`-th try (from 1) failed, or that it is over.

    `jitter` is in [0, 1). Raises ValueError for other values. A wait that the server asked for is never
    made shorter, only cut at LONGEST_ASKED.
    """
    if attempt < 1 or not 0.0 <= jitter < 1.0:
        raise ValueError("attempt counts from 1, jitter is in [0, 1)")
    doublings = min(attempt - 1, 30)  # beyond this every wait is the longest one
    wait = min(policy.first * 2**doublings, policy.longest) * (1 - _SPREAD * jitter)
    if retry_after is not None:
        wait = max(wait, min(retry_after, LONGEST_ASKED))
    at = now + wait
    return GiveUp(since=first_at) if at - first_at > policy.lasting else RetryAt(at=at)


def read_retry_after(response: HttpResponse) -> timedelta | None:
    """Return what Retry-After asks for, from seconds or a date; a date is measured from the answer's Date.

    None where there is none, where it cannot be read, or where a date stands without a Date to compare.
    """
    value = (response.header("retry-after") or "").strip()
    if value.isascii() and value.isdigit():
        return min(timedelta(seconds=int(value[:9])), LONGEST_ASKED)
    try:
        wait = parsedate_to_datetime(value) - parsedate_to_datetime(response.header("date") or "")
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return min(max(wait, timedelta()), LONGEST_ASKED)
