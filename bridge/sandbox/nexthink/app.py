"""The Flask application of the simulated portal: Act, List Engines, NXQL and its control routes.

It must not decide what a valid request is; `act` and `nxql` do.
"""

import threading
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from flask import Flask, Response, jsonify, request
from pydantic import TypeAdapter

from bridge.sandbox import control
from bridge.sandbox import credentials as known
from bridge.sandbox.faults import FaultQueue
from bridge.sandbox.misbehaving import HTML, JSON, Reply, proxy_page
from bridge.sandbox.nexthink import act, nxql
from bridge.sandbox.nexthink.witness import Script, SeenCall, Witness
from bridge.sandbox.nexthink.world import Logon, SimulatedDevice, World
from bridge.sandbox.wire import RequestLog, Site

RUN = "/api/remoteaction/v2/run"
_ACCOUNTS = {
    known.basic(known.NEXTHINK_USERNAME, known.NEXTHINK_PASSWORD): known.NEXTHINK_USERNAME,
    known.basic(
        known.NEXTHINK_VIEWER_USERNAME, known.NEXTHINK_VIEWER_PASSWORD
    ): known.NEXTHINK_VIEWER_USERNAME,
}


def refusal(status: int) -> Reply:
    """Word a status as the portal does where the contract gives it an object, else as its proxy."""
    if status != 500:
        return proxy_page(status)
    return Reply(status=500, headers=JSON, body=b'{"code": "INTERNAL_ERROR", "error": "Internal error"}')


def create_site(world: World) -> Site:
    """Return the simulated portal of a world, ready to be served."""
    app = Flask(__name__)
    witness, faults, log, stopping = Witness(), FaultQueue(), RequestLog(), threading.Event()
    _add_act(app, world, witness, stopping)
    control.skip_spoilt_requests(app)
    _add_reads(app, world, witness)
    _add_control(app, world, witness)
    control.install(app, faults=faults, log=log, reset=witness.reset)
    return Site(app=app, refusal=refusal, faults=faults, log=log, stopping=stopping)


def _account() -> str | None:
    given = request.headers.get("Authorization", "")
    return next((name for header, name in _ACCOUNTS.items() if known.same(given, header)), None)


def _html(status: int, text: str) -> Response:
    page = (
        f"<html><body><h1>{status}</h1><div id='error_message'>{text}</div>"
        "<div id='error_options'></div></body></html>"
    )
    return Response(page, status=status, headers=dict(HTML))


# ── Act ──────────────────────────────────────────────────────────────────────────────────────────────────


def _add_act(app: Flask, world: World, witness: Witness, stopping: threading.Event) -> None:
    @app.before_request
    def note_spoilt_call() -> None:
        """A call that a fault keeps from being carried out was received all the same."""
        if request.path == RUN and request.method == "POST" and not control.is_carried_out():
            witness.note(_seen(_account()))

    @app.post(RUN)
    def run() -> tuple[Response, int]:
        account = _account()
        seen = _seen(account)
        if account is None:
            witness.note(replace(seen, status=401))
            return _html(401, "Unauthorized"), 401
        try:
            answer, executed, wait = _carry_out(account, world, witness)
        except act.ActError as error:
            witness.note(replace(seen, status=error.status, answer=error.body))
            return jsonify(error.body), error.status
        witness.note(replace(seen, status=200, answer=answer, **executed))
        if wait:
            stopping.wait(wait)
        return jsonify(answer), 200

    @app.get(RUN)
    def run_is_post_only() -> Response:
        return _html(404, "Not found")


def _seen(account: str | None) -> SeenCall:
    """Read what can be read of a call, valid or not."""
    document: Any = request.get_json(force=True, silent=True)
    document = document if isinstance(document, dict) else {}
    engines, devices, params = (document.get(k) for k in ("engineDatabaseUids", "deviceUids", "params"))
    return SeenCall(
        number=0,
        at=datetime.now(UTC).isoformat(),
        account=account,
        request_uid=_text(document.get("requestUid")),
        action_uid=_text(document.get("remoteActionUid")),
        device_uids=tuple(devices) if isinstance(devices, list) else (),
        engine_uids=tuple(engines) if isinstance(engines, list) else None,
        timeout_seconds=document.get("timeoutSeconds"),
        params=params if isinstance(params, dict) else {},
        ignored_params=(),
        executed=False,
        dispatched=(),
        status=None,
        answer=None,
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _carry_out(
    account: str, world: World, witness: Witness
) -> tuple[list[dict[str, str]], dict[str, Any], float]:
    """Return the answer, what the witness must note, and how long the slowest Engine takes."""
    charset = request.mimetype_params.get("charset", "")
    document = act.parse_json(request.mimetype, charset, request.get_data())
    asked = act.parse_request(document, world)
    if account != known.NEXTHINK_USERNAME:
        raise act.ActError("NO_PERMISSION")
    if (error := witness.scripted_error()) is not None:
        raise act.ActError(error)
    action = act.runnable(asked, world)
    devices = tuple(device for device in world.devices if device.uid in asked.device_uids)
    answer, dispatched, wait = [], [], 0.0
    for uid, engine in act.targets(asked, world):
        scripted = witness.scripted_answer(engine, uid, devices)
        told, seconds = scripted if scripted is not None else (act.natural_answer(engine), 0.0)
        wait = max(wait, seconds)
        answer.append({"databaseUid": uid, "code": told.code, "message": told.message})
        if told.code in {"ok", "timeout"} and engine is not None:
            dispatched += [(device.uid, engine.uid) for device in _known(devices, engine.name)]
    executed = {
        "executed": any(entry["code"] in {"ok", "timeout"} for entry in answer),
        "dispatched": tuple(dispatched),
        "params": asked.params,
        "ignored_params": tuple(name for name in asked.params if name not in action.params),
    }
    return answer, executed, wait


def _known(devices: tuple[SimulatedDevice, ...], engine: str) -> list[SimulatedDevice]:
    return [device for device in devices if engine in dict(device.seen_by)]


# ── List Engines and NXQL ────────────────────────────────────────────────────────────────────────────────


def _add_reads(app: Flask, world: World, witness: Witness) -> None:
    @app.get("/api/configuration/v1/engines")
    def engines() -> Response:
        if _account() is None:
            return _html(401, "Unauthorized")
        return jsonify(
            [
                {
                    "name": engine.name,
                    "databaseUID": engine.uid,
                    "machineID": engine.uid[:16],
                    "description": "",
                    "status": "CONNECTED" if engine.connected else "NOT_CONNECTED",
                    "address": engine.address,
                    "port": 999,
                    "timezone": "UTC",
                    "version": "6.30.4.1",
                }
                for engine in world.engines
            ]
        )

    @app.route("/nxql/<name>/2/query", methods=["GET", "POST"])
    def query(name: str) -> Response:
        try:
            return _query(name, world, witness.logons())
        except nxql.NxqlError as error:
            return _html(error.status, error.text)


def _query(name: str, world: World, logons: tuple[Logon, ...]) -> Response:
    account = _account()
    if account is None:
        raise nxql.NxqlError(401, "Unauthorized")
    engine = world.engine(name)
    if engine is None:
        raise nxql.NxqlError(404, "Not found")
    if not engine.connected:
        raise nxql.NxqlError(503, "The Engine is not running")
    if request.method == "POST" and request.mimetype != "application/x-www-form-urlencoded":
        raise nxql.NxqlError(400, "The body must be form-encoded")
    form = request.args if request.method == "GET" else request.form
    nxql.check_options(form.getlist("format"), form.getlist("platform"))
    if account != known.NEXTHINK_USERNAME or form.get("query", "").lstrip("( ").startswith("update"):
        raise nxql.NxqlError(403, "Forbidden")
    answer = jsonify(nxql.rows(nxql.parse_query(form.get("query", "")), engine, world, logons))
    answer.headers["NX_EXEC_TIME"] = "1"
    return answer


# ── control ──────────────────────────────────────────────────────────────────────────────────────────────


def _add_control(app: Flask, world: World, witness: Witness) -> None:
    adapter = TypeAdapter(Script)

    @app.get("/_sandbox/calls")
    def calls() -> Response:
        return jsonify(witness.report())

    @app.post("/_sandbox/answers")
    def answers() -> tuple[Response, int]:
        script = control.read(adapter)
        if bool(script.code) == bool(script.error):
            raise control.ControlError(400, "give either code or error")
        if script.error and script.error not in act.ERRORS:
            raise control.ControlError(400, f"error must be one of {', '.join(act.ERRORS)}")
        witness.tell(script)
        return jsonify({"told": script.code or script.error}), 201

    @app.put("/_sandbox/logons")
    def log_on() -> tuple[Response, int]:
        logon = control.read(TypeAdapter(Logon))
        witness.log_on(logon)
        return jsonify({"last_logged_on_user": logon.user}), 201

    @app.get("/_sandbox/world")
    def show_world() -> Response:
        return jsonify(
            {
                "engines": [{"name": e.name, "uid": e.uid, "connected": e.connected} for e in world.engines],
                "devices": [
                    {"name": d.name, "uid": d.uid, "engines": [e for e, _ in d.seen_by]}
                    for d in world.devices
                ],
                "actions": [{"name": action.name, "uid": action.uid} for action in world.actions],
            }
        )
