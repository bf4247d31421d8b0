"""The Act API v2: what a request must be, and what each Engine answers.

It must not know Flask, and must be as strict as the documented contract; where that is silent, stricter.
"""

import json
from dataclasses import dataclass
from typing import Any

import re2

from bridge.sandbox.nexthink.world import ParamsEncoding, RemoteAction, SimulatedEngine, World

# Every error code of the contract with its HTTP status and a text.
ERRORS: dict[str, tuple[int, str]] = {
    "INVALID_REQUEST_JSON": (400, "The request is not valid JSON"),
    "INVALID_REQUEST_CONTENT": (400, "The content of the request is not valid"),
    "CONTENT_TYPE": (400, "The content type must be application/json"),
    "ENCODING": (400, "The request is not encoded in UTF-8"),
    "NO_REMOTE_ACTION_UID": (400, "No remote action UID"),
    "NO_DEVICES": (400, "No devices"),
    "TOO_MANY_DEVICES": (400, "Too many devices"),
    "INVALID_ACTION_UID": (400, "The remote action UID is not valid"),
    "INVALID_DEVICE_UID": (400, "A device UID is not valid"),
    "UNKNOWN_OR_DISABLED_REMOTE_ACTION": (400, "Unknown or disabled remote action"),
    "NO_MANUAL_EXECUTION": (400, "Remote action not configured for manual execution"),
    "NO_PERMISSION": (403, "The user has no permission to run remote actions by API"),
    "NO_ENGINES_TO_TARGET": (403, "No Engines to target"),
    "INTERNAL_ERROR": (500, "Internal error"),
}
ENGINE_CODES = ("ok", "timeout", "engine_error", "not_connected", "excluded", "no_permission")

_GUID = re2.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_HEX32 = re2.compile(r"[0-9a-f]{32}")
_FIELDS = {"requestUid", "remoteActionUid", "deviceUids", "engineDatabaseUids", "timeoutSeconds", "params"}


class ActError(Exception):
    """A request that the portal refuses, by an error code of the contract."""

    def __init__(self, code: str, hint: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.status, text = ERRORS[code]
        self.body = {"code": code, "error": f"{text}: {hint}" if hint else text}


@dataclass(frozen=True, slots=True, kw_only=True)
class ActRequest:
    """A request of which every field has the shape of the contract."""

    request_uid: str | None
    action_uid: str
    device_uids: tuple[str, ...]
    engine_uids: tuple[str, ...] | None
    timeout_seconds: float | None
    params: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scripted:
    """What an Engine was told to answer."""

    code: str
    message: str = ""


def parse_json(content_type: str, charset: str, body: bytes) -> dict[str, Any]:
    """Return the object of a request, or refuse it by content type, encoding or JSON."""
    if content_type != "application/json":
        raise ActError("CONTENT_TYPE")
    if charset.lower() not in {"", "utf-8", "utf8"}:
        raise ActError("ENCODING")
    try:
        document = json.loads(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise ActError("ENCODING") from None
    except (ValueError, RecursionError):
        raise ActError("INVALID_REQUEST_JSON") from None
    if not isinstance(document, dict):
        raise ActError("INVALID_REQUEST_CONTENT", "an object is wanted")
    return document


def parse_request(document: dict[str, Any], world: World) -> ActRequest:
    """Check every field, in the order in which the portal names its errors."""
    if unknown := set(document) - _FIELDS:
        raise ActError("INVALID_REQUEST_CONTENT", f"unknown field {min(unknown)}")
    request_uid = document.get("requestUid")
    if request_uid is not None and not isinstance(request_uid, str):
        raise ActError("INVALID_REQUEST_CONTENT", "requestUid")
    return ActRequest(
        request_uid=request_uid,
        action_uid=_action_uid(document),
        device_uids=_device_uids(document, world.max_devices),
        engine_uids=_engine_uids(document),
        timeout_seconds=_timeout(document),
        params=_params(document, world.params_encoding),
    )


def _action_uid(document: dict[str, Any]) -> str:
    uid = document.get("remoteActionUid")
    if uid is None or uid == "":
        raise ActError("NO_REMOTE_ACTION_UID")
    if not isinstance(uid, str) or not _GUID.fullmatch(uid):
        raise ActError("INVALID_ACTION_UID")
    return uid


def _device_uids(document: dict[str, Any], limit: int) -> tuple[str, ...]:
    uids = document.get("deviceUids")
    if uids is None or uids == []:
        raise ActError("NO_DEVICES")
    if not isinstance(uids, list):
        raise ActError("INVALID_REQUEST_CONTENT", "deviceUids")
    if len(uids) > limit:
        raise ActError("TOO_MANY_DEVICES")
    if not all(isinstance(uid, str) and _HEX32.fullmatch(uid) for uid in uids):
        raise ActError("INVALID_DEVICE_UID")
    return tuple(uids)


def _engine_uids(document: dict[str, Any]) -> tuple[str, ...] | None:
    if "engineDatabaseUids" not in document:
        return None
    uids = document["engineDatabaseUids"]
    if not isinstance(uids, list) or not uids:
        raise ActError("INVALID_REQUEST_CONTENT", "engineDatabaseUids")
    if not all(isinstance(uid, str) and _HEX32.fullmatch(uid) for uid in uids):
        raise ActError("INVALID_REQUEST_CONTENT", "engineDatabaseUids")
    return tuple(uids)


def _timeout(document: dict[str, Any]) -> float | None:
    timeout = document.get("timeoutSeconds")
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or timeout <= 0:
        raise ActError("INVALID_REQUEST_CONTENT", "timeoutSeconds")
    return timeout


def _params(document: dict[str, Any], encoding: ParamsEncoding) -> dict[str, str]:
    params = document.get("params")
    if params is None:
        return {}
    if encoding is ParamsEncoding.LIST:
        params = _listed_params(params)
    if not isinstance(params, dict) or not all(isinstance(value, str) for value in params.values()):
        raise ActError("INVALID_REQUEST_CONTENT", "params")
    return params


def _listed_params(params: object) -> dict[str, Any]:
    if not isinstance(params, list):
        raise ActError("INVALID_REQUEST_CONTENT", "params")
    if not all(isinstance(entry, dict) and set(entry) == {"name", "value"} for entry in params):
        raise ActError("INVALID_REQUEST_CONTENT", "params")
    if not all(isinstance(entry["name"], str) for entry in params):
        raise ActError("INVALID_REQUEST_CONTENT", "params")
    return {entry["name"]: entry["value"] for entry in params}


def runnable(request: ActRequest, world: World) -> RemoteAction:
    """Return the remote action, or refuse one that does not exist or may not be run by hand."""
    action = world.action(request.action_uid)
    if action is None or not action.enabled:
        raise ActError("UNKNOWN_OR_DISABLED_REMOTE_ACTION")
    if not action.manual:
        raise ActError("NO_MANUAL_EXECUTION")
    return action


def targets(request: ActRequest, world: World) -> tuple[tuple[str, SimulatedEngine | None], ...]:
    """Return the targeted Engines by UID; without a list these are all connected ones."""
    if request.engine_uids is not None:
        return tuple((uid, world.engine(uid)) for uid in dict.fromkeys(request.engine_uids))
    connected = tuple((engine.uid, engine) for engine in world.engines if engine.connected)
    if not connected:
        raise ActError("NO_ENGINES_TO_TARGET")
    return connected


def natural_answer(engine: SimulatedEngine | None) -> Scripted:
    """Return what an Engine answers when nobody told it otherwise."""
    if engine is None:
        return Scripted(code="excluded", message="Unknown databaseUid")
    return Scripted(code="ok" if engine.connected else "not_connected")
