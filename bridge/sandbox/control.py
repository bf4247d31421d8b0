"""The control API under /_sandbox/ that every simulated system has: faults, seen requests, reset.

It must not hold what is particular to one system; each application adds its own routes.
"""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, TypeVar

from flask import Flask, Response, jsonify, request
from pydantic import TypeAdapter, ValidationError

from bridge.sandbox.faults import Fault, FaultQueue
from bridge.sandbox.wire import CARRY_OUT, CONTROL, RequestLog

T = TypeVar("T")


class ControlError(Exception):
    """A control request that cannot be served; `status` and the message are the answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def is_control() -> bool:
    """Say whether the current request is for the control API."""
    return request.path.startswith(CONTROL)


def is_carried_out() -> bool:
    """Say whether the current request may take effect; a fault may forbid it."""
    return bool(request.environ.get(CARRY_OUT, True))


def read(adapter: TypeAdapter[T]) -> T:
    """Parse the JSON body of a control request; pydantic's own error names each problem.

    A JSON content type is demanded, so that no web page can post here without asking first.
    """
    if request.mimetype != "application/json":
        raise ControlError(415, "send application/json")
    return adapter.validate_json(request.get_data())


def install(app: Flask, *, faults: FaultQueue, log: RequestLog, reset: Callable[[], None]) -> None:
    """Add the control routes that all systems share."""
    adapter = TypeAdapter(Fault)

    @app.post("/_sandbox/faults")
    def add_fault() -> tuple[Response, int]:
        fault = read(adapter)
        faults.add(fault)
        return jsonify(asdict(fault)), 201

    @app.get("/_sandbox/faults")
    def list_faults() -> Response:
        return jsonify([asdict(fault) for fault in faults.waiting()])

    @app.delete("/_sandbox/faults")
    def clear_faults() -> tuple[str, int]:
        faults.clear()
        return "", 204

    @app.get("/_sandbox/requests")
    def list_requests() -> Response:
        return jsonify(log.entries())

    @app.post("/_sandbox/reset")
    def reset_all() -> tuple[str, int]:
        faults.clear()
        log.clear()
        reset()
        return "", 204

    @app.errorhandler(ValidationError)
    def invalid(error: ValidationError) -> tuple[Response, int]:
        problems = [
            {"place": ".".join(str(part) for part in problem["loc"]), "problem": problem["msg"]}
            for problem in error.errors(include_url=False, include_input=False, include_context=False)
        ]
        return jsonify({"errors": problems}), 400

    @app.errorhandler(ControlError)
    def refused(error: ControlError) -> tuple[Response, int]:
        return jsonify({"errors": [{"place": "", "problem": error.message}]}), error.status


def skip_spoilt_requests(app: Flask) -> None:
    """Do not carry out a request whose fault stands in for the system; install this after any witness."""

    @app.before_request
    def skip() -> Any:
        return None if is_carried_out() else ("", 204)
