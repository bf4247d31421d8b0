"""The Table API of the simulated instance: list, read and patch.

It must not be more forgiving than the real one: without the two headers there is no answer.
"""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, g, jsonify, request

from bridge.sandbox.servicenow.columns import read as read_columns
from bridge.sandbox.servicenow.querying import Display, Shape, select, show
from bridge.sandbox.servicenow.records import KEPT, Instance, Record, Value

_LIMIT = 10_000
_RESOLVED = {"6", "7"}

# Told of every write: the record before and after, and what was written.
Written = Callable[[Record, Record, dict[str, str]], None]


class TableError(Exception):
    """A refusal in the shape of the Table API."""

    def __init__(self, status: int, message: str, detail: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": {"message": message, "detail": detail}, "status": "failure"}


def routes(instance: Instance, url: Callable[[], str], written: Written) -> Blueprint:
    """Return the routes; `written` hears of every write that was carried out."""
    blueprint = Blueprint("table", __name__)

    @blueprint.get("/api/now/table/<table>")
    @blueprint.get("/api/now/v2/table/<table>")
    def rows(table: str) -> Response:
        _check_headers()
        _check_table(instance, table)
        every = [] if instance.is_hidden(table) else instance.rows(table)
        found = select(every, request.args.get("sysparm_query", ""), instance)
        start, limit = _number("sysparm_offset", 0), _number("sysparm_limit", _LIMIT)
        shape = _shape(url())
        answer = jsonify({"result": [show(row, instance, shape) for row in found[start : start + limit]]})
        answer.headers["X-Total-Count"] = str(len(found))
        return answer

    @blueprint.get("/api/now/table/<table>/<sys_id>")
    @blueprint.get("/api/now/v2/table/<table>/<sys_id>")
    def read(table: str, sys_id: str) -> Response:
        _check_headers()
        _check_table(instance, table)
        return jsonify({"result": show(_find(instance, table, sys_id), instance, _shape(url()))})

    @blueprint.patch("/api/now/table/<table>/<sys_id>")
    @blueprint.patch("/api/now/v2/table/<table>/<sys_id>")
    def patch(table: str, sys_id: str) -> Response:
        _check_headers()
        _check_table(instance, table)
        fields = _fields()
        before = _find(instance, table, sys_id)
        named = request.args.get("sysparm_input_display_value") == "true"
        columns = read_columns(instance, before, fields, named=named)
        _check_write(instance, before, columns)
        after = instance.update(before, columns, by=g.account)
        written(before, after, fields)
        return jsonify({"result": show(after, instance, _shape(url()))})

    return blueprint


def _check_headers() -> None:
    """Refuse a request that does not name JSON, as the documentation says."""
    if "application/json" not in request.headers.get("Accept", ""):
        raise TableError(400, "Requested media type is not supported", "Accept must be application/json")
    if request.method == "PATCH" and request.mimetype != "application/json":
        raise TableError(400, "Unsupported media type", "Content-Type must be application/json")


def _check_table(instance: Instance, table: str) -> None:
    if not instance.has(table):
        raise TableError(400, f"Invalid table {table}")


def _find(instance: Instance, table: str, sys_id: str) -> Record:
    record = instance.record(table, sys_id)
    if record is None:
        raise TableError(404, "No Record found", "Record doesn't exist or ACL restricts the record retrieval")
    return record


def _fields() -> dict[str, str]:
    document = request.get_json(silent=True)
    if not isinstance(document, dict):
        raise TableError(400, "Exception while reading request", "The payload is not valid JSON")
    return {name: _text(value) for name, value in document.items()}


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def _check_write(instance: Instance, record: Record, columns: dict[str, Value]) -> None:
    if instance.behaviour.writes_forbidden or record.table in KEPT:
        raise TableError(403, "Operation Failed", "ACL Exception Update Failed due to security constraints")
    resolves = record.table == "incident" and "state" in columns and columns["state"].value in _RESOLVED
    after = record.columns | columns
    if resolves and not all(n in after and after[n].value for n in ("close_code", "close_notes")):
        raise TableError(
            403, "Operation Failed", "Data Policy Exception: close_code, close_notes are mandatory"
        )


def _number(name: str, default: int) -> int:
    text = request.args.get(name, "")
    return int(text) if text.isascii() and text.isdigit() else default


def _shape(base_url: str) -> Shape:
    wanted: Any = request.args.get("sysparm_display_value", "false")
    return Shape(
        display=Display(wanted) if wanted in set(Display) else Display.VALUES,
        fields=tuple(name for name in request.args.get("sysparm_fields", "").split(",") if name),
        links=request.args.get("sysparm_exclude_reference_link") != "true",
        base_url=base_url,
    )
