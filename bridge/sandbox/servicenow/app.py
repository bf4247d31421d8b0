"""The Flask application of the simulated ServiceNow: sign-in, refusals in its shape, and control routes.

It must not hold what the instance knows; `records` does.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from flask import Flask, Response, g, jsonify, request
from pydantic import ConfigDict, TypeAdapter

from bridge.sandbox import control
from bridge.sandbox import credentials as known
from bridge.sandbox.faults import FaultQueue
from bridge.sandbox.misbehaving import JSON, Reply, proxy_page
from bridge.sandbox.sending import Sender
from bridge.sandbox.servicenow import api, people
from bridge.sandbox.servicenow.api import TableError
from bridge.sandbox.servicenow.records import Behaviour, Instance, Record, Value, plain
from bridge.sandbox.servicenow.webhooks import Happening, Operation, Target, moment, update_of, webhook
from bridge.sandbox.wire import RequestLog, Site


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column as the control API takes it: its value, and where they differ its display value and table."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    value: str
    display: str | None = None
    reference: str | None = None

    def read(self) -> Value:
        """Return the column as a record holds it."""
        shown = self.value if self.display is None else self.display
        return Value(value=self.value, display=shown, reference=self.reference)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordOrder:
    """A record to be created, or replaced where its number exists."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    table: str
    columns: dict[str, Column]
    by: str = "bo.agent"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeOrder:
    """An update by a person of which nobody is told; `seconds_ago` makes it an old one."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    table: str
    number: str
    columns: dict[str, Column]
    by: str = "bo.agent"
    seconds_ago: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookOrder:
    """A webhook to be sent: an insert as the record is, or an update that writes `columns` first."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    table: str
    number: str
    target: Target
    operation: Operation = Operation.UPDATE
    columns: dict[str, Column] = field(default_factory=dict)
    by: str = "bo.agent"
    copies: int = 1
    seconds_ago: float = 0.0
    wait: bool = False


def refusal(status: int) -> Reply:
    """Word a status as ServiceNow does: 429 with its rate limit headers, a 5xx as the proxy in front."""
    if status >= 500:
        return proxy_page(status)
    message = {429: "Rate limit exceeded", 404: "No Record found"}.get(status, "Operation Failed")
    body = json.dumps({"error": {"message": message, "detail": None}, "status": "failure"}).encode()
    limits = (
        ("X-RateLimit-Limit", "100"),
        ("X-RateLimit-Reset", "1795000000"),
        ("X-RateLimit-Rule", "0" * 32),
    )
    return Reply(status=status, headers=(*JSON, *limits) if status == 429 else JSON, body=body)


def create_site(sender: Sender, url: Callable[[], str]) -> Site:
    """Return the simulated instance, ready to be served; `url` is asked for its own address."""
    app = Flask(__name__)
    instance, faults, log = Instance(), FaultQueue(), RequestLog()
    targets: list[Target] = []

    def tell_targets(before: Record, after: Record, written: dict[str, str]) -> None:
        """Run the business rules that a write over REST causes."""
        happening = update_of(before, after, written)
        for target in targets:
            if not target.guarded:
                sender.send(webhook(target, happening, url(), at=moment()))

    def reset() -> None:
        instance.reset()
        targets.clear()
        sender.clear()

    control.skip_spoilt_requests(app)
    _add_sign_in(app)
    app.register_blueprint(api.routes(instance, url, tell_targets))
    _add_control(app, instance, targets)
    people.add_control(app, instance)
    _add_webhook_control(app, instance, sender, url)
    control.install(app, faults=faults, log=log, reset=reset)
    return Site(app=app, refusal=refusal, faults=faults, log=log)


def _signed_in() -> bool:
    given, key = request.headers.get("Authorization", ""), request.headers.get("x-sn-apikey", "")
    basic = known.basic(known.SERVICENOW_USERNAME, known.SERVICENOW_PASSWORD)
    return (
        known.same(given, basic)
        or known.same(given, known.bearer(known.SERVICENOW_TOKEN))
        or known.same(key, known.SERVICENOW_API_KEY)
    )


def _add_sign_in(app: Flask) -> None:
    @app.before_request
    def sign_in() -> None:
        if control.is_control():
            return
        if not _signed_in():
            raise TableError(401, "User Not Authenticated", "Required to provide Auth information")
        g.account = known.SERVICENOW_USERNAME

    @app.errorhandler(TableError)
    def refused(error: TableError) -> tuple[Response, int]:
        answer = jsonify(error.body)
        if error.status == 401:
            answer.headers["WWW-Authenticate"] = 'BASIC realm="Service-now"'
        return answer, error.status


# ── control ──────────────────────────────────────────────────────────────────────────────────────────────


def _add_control(app: Flask, instance: Instance, targets: list[Target]) -> None:
    orders, registrations, behaviours = TypeAdapter(RecordOrder), TypeAdapter(Target), TypeAdapter(Behaviour)
    changes = TypeAdapter(ChangeOrder)

    @app.put("/_sandbox/records")
    def put_record() -> Response:
        order = control.read(orders)
        columns = {name: column.read() for name, column in order.columns.items()}
        return jsonify(asdict(instance.put(order.table, columns, by=order.by)))

    @app.get("/_sandbox/records/<table>/<sys_id>")
    def get_record(table: str, sys_id: str) -> Response:
        record = instance.record(table, sys_id)
        if record is None:
            raise control.ControlError(404, f"there is no {table} {sys_id}")
        return jsonify(asdict(record))

    @app.delete("/_sandbox/records/<table>/<sys_id>")
    def delete_record(table: str, sys_id: str) -> tuple[str, int]:
        return "", 204 if instance.delete(table, sys_id) else 404

    @app.post("/_sandbox/targets")
    def add_target() -> tuple[Response, int]:
        target = control.read(registrations)
        targets.append(target)
        return jsonify({"url": target.url, "rule": target.rule}), 201

    @app.put("/_sandbox/behaviour")
    def behave() -> Response:
        instance.behaviour = control.read(behaviours)
        return jsonify(asdict(instance.behaviour))

    @app.post("/_sandbox/changes")
    def change() -> Response:
        order = control.read(changes)
        record = _record(instance, order.table, order.number)
        columns = {name: column.read() for name, column in order.columns.items()}
        after = instance.update(record, columns, by=order.by, seconds_ago=order.seconds_ago)
        return jsonify({"sys_id": after.sys_id, "sys_mod_count": after.text("sys_mod_count")})

    @app.get("/_sandbox/comments")
    def comments() -> Response:
        return jsonify([_witnessed(entry, instance) for entry in instance.rows("sys_journal_field")])


def _add_webhook_control(app: Flask, instance: Instance, sender: Sender, url: Callable[[], str]) -> None:
    orders = TypeAdapter(WebhookOrder)

    @app.post("/_sandbox/webhooks")
    def send() -> tuple[Response, int]:
        order = control.read(orders)
        record = _record(instance, order.table, order.number)
        happening = _happening(order, record, instance)
        request_ = webhook(order.target, happening, url(), at=moment(seconds_ago=order.seconds_ago))
        threads = sender.send(request_, copies=order.copies)
        if order.wait:
            for thread in threads:
                thread.join()
        count = happening.record.text("sys_mod_count")
        return jsonify({"sys_id": record.sys_id, "sys_mod_count": count}), 202

    @app.get("/_sandbox/deliveries")
    def deliveries() -> Response:
        return jsonify(sender.attempts())


def _record(instance: Instance, table: str, number: str) -> Record:
    record = instance.by_number(table, number)
    if record is None:
        raise control.ControlError(404, f"there is no {table} {number}")
    return record


def _happening(order: WebhookOrder, record: Record, instance: Instance) -> Happening:
    if order.operation is Operation.INSERT:
        return Happening(operation=Operation.INSERT, record=record)
    columns = {name: column.read() for name, column in order.columns.items()}
    after = instance.update(record, columns, by=order.by)
    return update_of(record, after, {name: value.value for name, value in columns.items()})


def _witnessed(entry: Record, instance: Instance) -> dict[str, Any]:
    ticket = instance.record(entry.text("name"), entry.text("element_id")) or entry
    return {
        "ticket": ticket.columns.get("number", plain("")).value,
        "sys_id": entry.text("element_id"),
        "table": entry.text("name"),
        "field": entry.text("element"),
        "text": entry.text("value"),
        "author": entry.text("sys_created_by"),
        "created": entry.text("sys_created_on"),
    }
