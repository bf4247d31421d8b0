"""Answers for the process's health from what is at hand: alive, ready, and in detail.

It must not ask the ledger or an outside system; whoever asks for health cannot be made to wait.
"""

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from http import HTTPStatus

from flask import Blueprint, Response

from bridge.models import Json
from bridge.vitals import Vitals
from bridge.web import diagnosis
from bridge.web.diagnosis import Check, Health

_TYPE = "application/health+json"


def blueprint(*, vitals: Vitals, has_mapping_set: Callable[[], bool]) -> Blueprint:
    """Return `/livez`, `/readyz` and `/health`."""
    door = Blueprint("health", __name__)

    @door.get("/livez")
    def live() -> Response:
        return _answer(HTTPStatus.OK, {"status": Health.PASS})

    @door.get("/readyz")
    def ready() -> Response:
        reasons = diagnosis.not_ready(commits=vitals.commits(), has_mapping_set=has_mapping_set())
        if reasons:
            return _answer(HTTPStatus.SERVICE_UNAVAILABLE, {"status": Health.FAIL, "notes": list(reasons)})
        return _answer(HTTPStatus.OK, {"status": Health.PASS})

    @door.get("/health")
    def health() -> Response:
        checks = diagnosis.diagnose(
            vitals.snapshot(), commit_age=vitals.commit_age(), has_mapping_set=has_mapping_set()
        )
        status = diagnosis.overall(checks)
        failed = status is Health.FAIL
        return _answer(
            HTTPStatus.SERVICE_UNAVAILABLE if failed else HTTPStatus.OK,
            {"status": status, "checks": _grouped(checks)},
        )

    return door


def _answer(status: int, content: Json) -> Response:
    return Response(json.dumps(content) + "\n", status, content_type=_TYPE)


def _grouped(checks: Iterable[Check]) -> dict[str, list[Json]]:
    grouped: dict[str, list[Json]] = {}
    for check in checks:
        grouped.setdefault(check.name, []).append(_written(check))
    return grouped


def _written(check: Check) -> Json:
    fields = {
        "componentId": check.component,
        "observedValue": check.value,
        "observedUnit": check.unit,
        "status": check.status,
        "time": _time(check.at),
        "output": check.output,
    }
    return {name: value for name, value in fields.items() if value is not None or name == "observedValue"}


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
