"""The Act API v2: the one request that starts a remote action, and what its answer proves.

It must never say that an action ran, nor that it did not run where that is not proven.
"""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import re2

from bridge.errors import Reason
from bridge.models import (
    CallResult,
    CallState,
    EngineCode,
    EngineOutcome,
    EngineUid,
    HttpRequest,
    HttpResponse,
    Json,
    NoResponse,
    Part,
)
from bridge.nexthink import ParamsEncoding, PortalConfig
from bridge.nexthink.wire import Unreadable, basic_authorization, clean, read_json
from bridge.retries import read_retry_after

PATH: Final = "/api/remoteaction/v2/run"
DEFAULT_WAIT: Final = timedelta(seconds=60)

# Statuses that prove by themselves that nothing was dispatched, whatever the body says.
PROVEN_REFUSALS: Final[Mapping[int, Reason]] = {
    401: Reason.UNAUTHORIZED,
    404: Reason.NOT_FOUND,
    405: Reason.REJECTED,
    413: Reason.REJECTED,
}
# Error codes with a reason of their own, because they pause the portal (S6).
_PAUSING: Final[Mapping[str, Reason]] = {
    "NO_PERMISSION": Reason.NO_PERMISSION,
    "NO_ENGINES_TO_TARGET": Reason.NO_ENGINES_TO_TARGET,
}
_ENGINE_CODES: Final[Mapping[str, EngineCode]] = {
    code.value: code for code in EngineCode if code is not EngineCode.UNRECOGNISED
}
_ERROR_CODE: Final = re2.compile("[A-Z][A-Z0-9_]{1,63}")
_NO_PROOF: Final = "INTERNAL_ERROR"


def run_request(
    portal: PortalConfig,
    *,
    request_uid: str,
    remote_action_uid: str,
    part: Part,
    timeout_seconds: int,
    params: tuple[tuple[str, str], ...],
) -> HttpRequest:
    """Build the request of one call.

    Raises ValueError for a part without devices, or with an empty list of Engines: what the server makes
    of an empty list is not known, so it is never sent (S10).
    """
    if not part.devices:
        raise ValueError("a part has at least one device")
    if part.engines is not None and not part.engines:
        raise ValueError("a part names its Engines, or has none to mean all; never an empty list")
    content: dict[str, Json] = {
        "requestUid": request_uid,
        "remoteActionUid": remote_action_uid,
        "deviceUids": [device.uid for device in part.devices],
    }
    if part.engines is not None:
        content["engineDatabaseUids"] = list(part.engines)
    content["timeoutSeconds"] = timeout_seconds
    if params:
        content["params"] = _encoded(portal.params_encoding, params)
    return HttpRequest(
        method="POST",
        url=portal.base_url.rstrip("/") + PATH,
        headers=(
            ("Content-Type", "application/json"),
            ("Accept", "application/json"),
            basic_authorization(portal.username, portal.password),
        ),
        body=json.dumps(content, ensure_ascii=False).encode("utf-8"),
    )


def decipher(
    portal: PortalConfig,
    response: HttpResponse | NoResponse,
    part: Part,
    engine_names: Mapping[EngineUid, str],
) -> CallResult:
    """Say how a call ended, by position and status (S2, S5); no answer whatsoever makes it raise.

    An Engine of the part that the answer does not name gets an outcome UNRECOGNISED with an empty
    `code_text`: no word from it.
    """
    if isinstance(response, NoResponse):
        state = CallState.UNKNOWN if response.sent else CallState.NOT_SENT
        return CallResult(state=state, reason=response.reason, error_text=clean(response.detail) or None)
    content = read_json(response.body)
    if 200 <= response.status < 300:
        return _answered(response.status, content, part, engine_names)
    if 400 <= response.status < 500:
        return _refused(response, content)
    return _unproven(portal, response, content)


def _encoded(encoding: ParamsEncoding, params: tuple[tuple[str, str], ...]) -> Json:
    if encoding is ParamsEncoding.LIST:
        return [{"name": name, "value": value} for name, value in params]
    return dict(params)


def _answered(
    status: int, content: Json | Unreadable, part: Part, engine_names: Mapping[EngineUid, str]
) -> CallResult:
    entries = content if isinstance(content, list) else []
    if not any(isinstance(entry, dict) and clean(entry.get("code")) for entry in entries):
        code, text = _error_object(content)
        return CallResult(
            state=CallState.UNKNOWN,
            reason=Reason.ANSWER_UNREADABLE,
            error_code=code,
            error_text=text or _described(content),
            status=status,
        )
    outcomes: dict[EngineUid, EngineOutcome] = {}
    for entry in entries:
        outcome = _outcome(entry, engine_names)
        known = outcomes.get(outcome.engine)
        outcomes[outcome.engine] = outcome if known is None else _reconciled(known, outcome)
    for silent in part.engines or ():
        if silent not in outcomes:
            outcomes[silent] = _no_word(silent, engine_names)
    return CallResult(state=CallState.ANSWERED, outcomes=tuple(outcomes.values()), status=status)


def _outcome(entry: Json, engine_names: Mapping[EngineUid, str]) -> EngineOutcome:
    fields = entry if isinstance(entry, dict) else {}
    # List Engines spells the key databaseUID, Act databaseUid; a server that mixes them is understood.
    engine = EngineUid(clean(fields.get("databaseUid", fields.get("databaseUID")), longest=64).lower())
    code_text = clean(fields.get("code"), longest=64)
    return EngineOutcome(
        engine=engine,
        name=engine_names.get(engine),
        code=_ENGINE_CODES.get(code_text, EngineCode.UNRECOGNISED),
        code_text=code_text,
        message=clean(fields.get("message")),
    )


def _reconciled(first: EngineOutcome, second: EngineOutcome) -> EngineOutcome:
    """Make one outcome of two from the same Engine; where they differ, neither is believed."""
    if first.code_text == second.code_text:
        return first
    return EngineOutcome(
        engine=first.engine,
        name=first.name,
        code=EngineCode.UNRECOGNISED,
        code_text=clean(f"{first.code_text} and {second.code_text}", longest=64),
        message=clean(f"{first.message} {second.message}"),
    )


def _no_word(engine: EngineUid, engine_names: Mapping[EngineUid, str]) -> EngineOutcome:
    return EngineOutcome(
        engine=engine,
        name=engine_names.get(engine),
        code=EngineCode.UNRECOGNISED,
        code_text="",
        message="",
    )


def _refused(response: HttpResponse, content: Json | Unreadable) -> CallResult:
    """Judge a 4xx: refused where the status or the contract's error object proves it, else unknown (S5)."""
    code, text = _error_object(content)
    status = response.status
    if status == 429:
        return CallResult(
            state=CallState.REFUSED,
            reason=Reason.RATE_LIMITED,
            error_code=code,
            error_text=text,
            status=status,
            retry_after=read_retry_after(response) or DEFAULT_WAIT,
        )
    proof = PROVEN_REFUSALS.get(status)
    if proof is None and (code is None or code == _NO_PROOF):
        return CallResult(
            state=CallState.UNKNOWN,
            reason=Reason.ANSWER_UNREADABLE,
            error_code=code,
            error_text=text or _described(content),
            status=status,
        )
    reason = proof or _PAUSING.get(code or "", Reason.REJECTED)
    return CallResult(state=CallState.REFUSED, reason=reason, error_code=code, error_text=text, status=status)


def _unproven(portal: PortalConfig, response: HttpResponse, content: Json | Unreadable) -> CallResult:
    """Judge a 1xx, 3xx or 5xx: unknown (S5), but for a proxy's 503 that is declared never to have passed."""
    code, text = _error_object(content)
    status = response.status
    # An error object is Nexthink's own, so that answer did not come from the proxy.
    if status == 503 and portal.proxy_503_not_sent and code is None:
        return CallResult(
            state=CallState.NOT_SENT,
            reason=Reason.SERVER_ERROR,
            status=status,
            retry_after=read_retry_after(response) or DEFAULT_WAIT,
        )
    if status < 200:
        reason = Reason.ANSWER_UNREADABLE
    else:
        reason = Reason.REDIRECTED if status < 400 else Reason.SERVER_ERROR
    return CallResult(state=CallState.UNKNOWN, reason=reason, error_code=code, error_text=text, status=status)


def _error_object(content: Json | Unreadable) -> tuple[str | None, str | None]:
    """Return code and text of the contract's error object (`code` and `error`), else two Nones."""
    if not isinstance(content, dict):
        return None, None
    code, text = content.get("code"), content.get("error")
    if not isinstance(code, str) or not isinstance(text, str):
        return None, None
    cleaned = clean(code, longest=64)
    if _ERROR_CODE.fullmatch(cleaned) is None:
        return None, None
    return cleaned, clean(text) or None


def _described(content: Json | Unreadable) -> str:
    if isinstance(content, Unreadable):
        return content.detail
    return "an empty list of Engines" if content == [] else "JSON that is not the contract's"
