"""What the doctor found: a subject, how it stands, and the way out where something is to be mended.

It must not try anything itself.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from urllib.parse import urlsplit

from bridge.errors import Reason
from bridge.models import HttpResponse

# A clock that is further off than this many seconds makes signed times and ages wrong.
SKEW_SECONDS = 60.0

_WAYS_OUT = {
    Reason.NOT_CONNECTED: "check the address in {address}, and DNS and firewall from this host to it",
    Reason.TLS_FAILED: "check the address, or name the certificates to trust in {settings}CA_FILE",
    Reason.UNAUTHORIZED: "check the user name, password or token among {settings}…",
    Reason.FORBIDDEN: "give the account of {settings}… the right to do this",
    Reason.NOT_FOUND: "check the address in {address}",
    Reason.REDIRECTED: "{address} leads elsewhere, perhaps to a sign-in page: use the final address",
    Reason.DEADLINE: "it took too long: check the way to it, and how busy it is",
    Reason.RATE_LIMITED: "it is asked too often: try again in a minute",
    Reason.SERVER_ERROR: "it is in trouble itself: try again, then ask whoever runs it",
}
_OTHERWISE = "check that {address} is the right system, and what a proxy makes of its answers"


# What the transport names by the kinds of its errors, in words; the first that occurs is the cause.
_CAUSES = (
    ("ConnectionRefusedError", "connection refused at {host}:{port}"),
    ("NameResolutionError", "no such host {host}"),
    ("gaierror", "no such host {host}"),
)


class State(StrEnum):
    GOOD = "good"
    NOTE = "note"
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """How one thing stands. `way_out` is what a person does about it."""

    subject: str
    state: State
    detail: str
    way_out: str | None = None


def good(subject: str, detail: str) -> Finding:
    """Return a finding that needs nothing."""
    return Finding(subject=subject, state=State.GOOD, detail=detail)


def note(subject: str, detail: str) -> Finding:
    """Return what could not be tried, so that nobody takes it for good."""
    return Finding(subject=subject, state=State.NOTE, detail=detail)


def warning(subject: str, detail: str, way_out: str) -> Finding:
    """Return a finding to look at, with which the bridge works."""
    return Finding(subject=subject, state=State.WARNING, detail=detail, way_out=way_out)


def bad(subject: str, detail: str, way_out: str) -> Finding:
    """Return a finding with which the bridge, or a part of it, does not work."""
    return Finding(subject=subject, state=State.BAD, detail=detail, way_out=way_out)


def failure(
    subject: str, reason: Reason, detail: str, *, settings: str, url: str, address: str = "BASE_URL"
) -> Finding:
    """Return a failed request to `url`; `settings` and `address` name the variables of its other side."""
    detail = _in_words(detail, url)
    way_out = _WAYS_OUT.get(reason, _OTHERWISE)
    return bad(subject, f"{detail} ({reason})", way_out.format(settings=settings, address=settings + address))


def _in_words(detail: str, url: str) -> str:
    """Say the cause of a detail such as `no answer: KIND from KIND`, where it is a common one."""
    place = urlsplit(url)
    port = place.port or (443 if place.scheme == "https" else 80)
    for kind, words in _CAUSES:
        if kind in detail:
            return f"{detail.partition(': ')[0]}: {words.format(host=place.hostname, port=port)}"
    return detail


def clock(subject: str, response: HttpResponse, now: Callable[[], datetime]) -> Finding | None:
    """Compare this host's clock with the Date of an answer that has just come; None where it has none."""
    try:
        theirs = parsedate_to_datetime(response.header("date") or "")
    except ValueError:
        return None
    if theirs.tzinfo is None:
        return None
    skew = (now() - theirs).total_seconds()
    if abs(skew) <= SKEW_SECONDS:
        return None
    ahead = "ahead of" if skew > 0 else "behind"
    return warning(
        subject,
        f"this host's clock is {abs(skew):.0f} s {ahead} theirs",
        "synchronise the clock of this host",
    )
