"""What an error on the way means: which reason, in words that leak nothing.

It must not decide whether something was sent; position does that (S2), and it arrives as an argument.
"""

import http.client
import ssl

from urllib3.exceptions import DecodeError, InvalidChunkLength, ProtocolError

from bridge.errors import Reason
from bridge.models import NoResponse


class TooLateError(Exception):
    """The first byte would leave after its time (S4)."""


class TooLargeError(Exception):
    """The decoded body is over the limit."""


def no_response(error: Exception, *, sent: bool, late: bool) -> NoResponse:
    """Say that no answer came; `late` is true when the deadline has passed.

    The detail holds no address, secret or body: only the names of the error's kinds.
    """
    kinds = [type(one).__name__.lstrip("_") for one in _chain(error)]
    return NoResponse(
        sent=sent,
        reason=_reason_after(error, late=late) if sent else _reason_before(error),
        detail=" from ".join(dict.fromkeys(kinds)),
    )


def _reason_before(error: Exception) -> Reason:
    causes = _chain(error)
    if any(isinstance(cause, TooLateError) for cause in causes):
        return Reason.TOO_LATE_TO_SEND
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return Reason.TLS_FAILED
    return Reason.NOT_CONNECTED


def _reason_after(error: Exception, *, late: bool) -> Reason:
    causes = _chain(error)
    if any(isinstance(cause, TooLargeError) for cause in causes):
        return Reason.ANSWER_TOO_LARGE
    if late or any(isinstance(cause, TimeoutError) for cause in causes):
        return Reason.DEADLINE
    if any(isinstance(cause, (DecodeError, InvalidChunkLength)) for cause in causes):
        return Reason.ANSWER_UNREADABLE
    return Reason.ANSWER_UNREADABLE if _is_not_http(causes) else Reason.CONNECTION_LOST


def _is_not_http(causes: list[BaseException]) -> bool:
    """Say whether an answer came that is no HTTP; a closed connection and a cut body are not that."""
    lost = (http.client.IncompleteRead, http.client.RemoteDisconnected, ProtocolError)
    return any(
        isinstance(cause, http.client.HTTPException) and not isinstance(cause, lost) for cause in causes
    )


def _chain(error: BaseException) -> list[BaseException]:
    """Return an error and what it came from, also where a library wraps one as an argument."""
    found: list[BaseException] = []
    waiting: list[BaseException] = [error]
    while waiting:
        one = waiting.pop()
        if one in found:
            continue
        found.append(one)
        wrapped = (*one.args, getattr(one, "reason", None), one.__cause__, one.__context__)
        waiting.extend(part for part in wrapped if isinstance(part, BaseException))
    return found
