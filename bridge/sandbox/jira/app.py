"""The Flask application of the simulated Jira: sign-in, refusals in Jira's shape, and its control routes.

It must not hold what Jira knows; `site` does.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from flask import Flask, Response, g, jsonify, request
from pydantic import ConfigDict, TypeAdapter

from bridge.sandbox import control
from bridge.sandbox.faults import FaultQueue
from bridge.sandbox.jira import api, approvals, changing, past, people, search, service_desk
from bridge.sandbox.jira.service_desk import ServiceDeskError
from bridge.sandbox.jira.site import (
    PERSON,
    Account,
    Behaviour,
    Deployment,
    FieldChange,
    Issue,
    JiraSite,
    StoredComment,
    account_of,
)
from bridge.sandbox.jira.webhooks import (
    Happening,
    Kind,
    Target,
    caused_by_comment,
    person_of,
    webhook,
)
from bridge.sandbox.jira.writing import Draft, JiraError, store
from bridge.sandbox.misbehaving import JSON, Reply, proxy_page
from bridge.sandbox.sending import Sender
from bridge.sandbox.wire import RequestLog, Site


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueOrder:
    """An issue to be created or replaced by the control API."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    key: str
    fields: dict[str, Any]
    service_desk: bool = True
    open_for_comments: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeOrder:
    """A change by a person of which nobody is told; it enters the history, `seconds_ago` where it is old."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    key: str
    fields: dict[str, Any] = field(default_factory=dict)
    changes: tuple[FieldChange, ...] = ()
    comment: str = ""
    actor: dict[str, Any] = field(default_factory=lambda: PERSON[Deployment.CLOUD])
    seconds_ago: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookOrder:
    """A webhook to be sent: `fields` are set first; `comment` is a person's comment, `copies` duplicates."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    kind: Kind
    key: str
    target: Target
    fields: dict[str, Any] = field(default_factory=dict)
    changes: tuple[FieldChange, ...] = ()
    comment: str = ""
    actor: dict[str, Any] | None = None
    copies: int = 1
    wait: bool = False


def refusal(status: int) -> Reply:
    """Word a status as Jira does: 429 with the headers of its rate limits, a 5xx as the proxy in front."""
    if status >= 500:
        return proxy_page(status)
    messages = {
        429: "Rate limit exceeded.",
        404: "Issue does not exist or you do not have permission to see it.",
    }
    body = json.dumps({"errorMessages": [messages.get(status, "Refused.")], "errors": {}}).encode()
    headers: tuple[tuple[str, str], ...] = JSON
    if status == 429:
        limits = (("X-RateLimit-Limit", "100"), ("X-RateLimit-Remaining", "0"))
        headers = (*JSON, *limits, ("RateLimit-Reason", "jira-burst-based"))
    return Reply(status=status, headers=headers, body=body)


def create_site(sender: Sender, url: Callable[[], str]) -> Site:
    """Return the simulated Jira, ready to be served; `url` is asked for its own address."""
    app = Flask(__name__)
    jira, faults, log = JiraSite(), FaultQueue(), RequestLog()
    directory, asked = people.Directory(), approvals.Approvals()
    targets: list[Target] = []

    def tell_targets(issue: Issue, comment: StoredComment) -> None:
        """Send the webhooks that a comment causes, as the real one does to every registered target."""
        for happening in caused_by_comment(issue, comment):
            for target in targets:
                sender.send(webhook(target, happening, url()))

    def tell_of_change(issue: Issue, author: Account, changes: tuple[FieldChange, ...], number: str) -> None:
        """Send the webhook that a change over REST causes."""
        happening = Happening(
            kind=Kind.ISSUE_UPDATED, issue=issue, actor=author.person, changes=changes, change_id=number
        )
        for target in targets:
            sender.send(webhook(target, happening, url()))

    jira.listeners.append(tell_targets)

    def reset() -> None:
        jira.reset()
        directory.reset()
        asked.reset()
        targets.clear()
        sender.clear()

    control.skip_spoilt_requests(app)
    _add_sign_in(app)
    app.register_blueprint(api.routes(jira, url))
    app.register_blueprint(changing.routes(jira, directory, url, tell_of_change))
    app.register_blueprint(past.routes(jira, url))
    app.register_blueprint(search.routes(jira, url))
    app.register_blueprint(people.routes(directory, url))
    app.register_blueprint(service_desk.routes(jira))
    app.register_blueprint(approvals.routes(jira, asked, url))
    _add_control(app, jira, targets)
    people.add_control(app, directory)
    approvals.add_control(app, jira, asked)
    _add_webhook_control(app, jira, sender, url)
    control.install(app, faults=faults, log=log, reset=reset)
    return Site(app=app, refusal=refusal, faults=faults, log=log)


def _add_sign_in(app: Flask) -> None:
    @app.before_request
    def sign_in() -> Response | None:
        if control.is_control():
            return None
        account = account_of(request.headers.get("Authorization", ""))
        if account is None:
            page = "Client must be authenticated to access this resource."
            return Response(page, 401, {"WWW-Authenticate": 'OAuth realm="sandbox"'}, mimetype="text/plain")
        g.account = account
        return None

    @app.errorhandler(JiraError)
    def refused(error: JiraError) -> tuple[Response, int]:
        answer = jsonify(error.body)
        if error.hint:
            answer.headers["X-Sandbox-Hint"] = error.hint
        return answer, error.status

    @app.errorhandler(ServiceDeskError)
    def refused_by_service_desk(error: ServiceDeskError) -> tuple[Response, int]:
        return jsonify(error.body), error.status


# ── control ──────────────────────────────────────────────────────────────────────────────────────────────


def _add_control(app: Flask, jira: JiraSite, targets: list[Target]) -> None:
    orders, registrations, behaviours = TypeAdapter(IssueOrder), TypeAdapter(Target), TypeAdapter(Behaviour)
    changes = TypeAdapter(ChangeOrder)

    @app.put("/_sandbox/issues")
    def put_issue() -> Response:
        order = control.read(orders)
        desk, open_ = order.service_desk, order.open_for_comments
        issue = jira.put_issue(order.key, order.fields, service_desk=desk, open_=open_)
        return jsonify(asdict(issue))

    @app.get("/_sandbox/issues/<key>")
    def get_issue(key: str) -> Response:
        return jsonify(asdict(_issue(jira, key)))

    @app.delete("/_sandbox/issues/<key>")
    def delete_issue(key: str) -> tuple[str, int]:
        return "", 204 if jira.delete_issue(key) else 404

    @app.post("/_sandbox/targets")
    def add_target() -> tuple[Response, int]:
        target = control.read(registrations)
        targets.append(target)
        return jsonify({"url": target.url, "flavour": target.flavour}), 201

    @app.put("/_sandbox/behaviour")
    def behave() -> Response:
        jira.behaviour = control.read(behaviours)
        return jsonify(asdict(jira.behaviour))

    @app.post("/_sandbox/changes")
    def change() -> Response:
        order = control.read(changes)
        issue, change_id = jira.change_issue(
            _issue(jira, order.key),
            order.fields,
            order.changes,
            author=order.actor,
            seconds_ago=order.seconds_ago,
        )
        comment = _persons_comment(order.comment, issue, order.actor, jira) if order.comment else None
        return jsonify({"change_id": change_id, "comment_id": comment.id if comment else None})

    @app.get("/_sandbox/comments")
    def comments() -> Response:
        return jsonify([_witnessed(key, comment) for key, comment in jira.comments()])


def _add_webhook_control(app: Flask, jira: JiraSite, sender: Sender, url: Callable[[], str]) -> None:
    orders = TypeAdapter(WebhookOrder)

    @app.post("/_sandbox/webhooks")
    def send() -> tuple[Response, int]:
        order = control.read(orders)
        issue = _issue(jira, order.key)
        actor = order.actor or person_of(order.target.flavour)
        change_id = None
        if order.fields or order.changes:
            issue, change_id = jira.change_issue(issue, order.fields, order.changes, author=actor)
        happening = Happening(
            kind=order.kind,
            issue=issue,
            actor=actor,
            changes=order.changes,
            change_id=change_id,
            comment=_persons_comment(order.comment, issue, actor, jira) if order.comment else None,
        )
        threads = sender.send(webhook(order.target, happening, url()), copies=order.copies)
        if order.wait:
            for thread in threads:
                thread.join()
        comment = happening.comment.id if happening.comment else None
        return jsonify({"change_id": happening.change_id, "comment_id": comment}), 202

    @app.get("/_sandbox/deliveries")
    def deliveries() -> Response:
        return jsonify(sender.attempts())


def _issue(jira: JiraSite, key: str) -> Issue:
    issue = jira.issue(key)
    if issue is None:
        raise control.ControlError(404, f"there is no issue {key}")
    return issue


def _persons_comment(text: str, issue: Issue, author: dict[str, Any], jira: JiraSite) -> StoredComment:
    deployment = Deployment.CLOUD if "accountId" in author else Deployment.DATACENTER
    account = Account(deployment=deployment, person=author)
    return store(jira, issue, account, Draft(body=text, text=text, properties=(), visibility=None))


def _witnessed(key: str, comment: StoredComment) -> dict[str, Any]:
    return {
        "issue": key,
        "id": comment.id,
        "author": comment.author.person["displayName"],
        "text": comment.text,
        "body": comment.body,
        "internal": comment.internal,
        "properties": dict(comment.properties),
        "created": comment.created.isoformat(),
    }
