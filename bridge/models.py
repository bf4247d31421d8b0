"""Every frozen value that passes between modules, and the states of the things that are remembered.

It must not hold behaviour beyond small derived properties, nor know where a value comes from or goes to.

States of a run:

    queued   -> claimed | cancelled | held (the ledger looks restored)
    claimed  -> queued (worker died or gave back, no call made) | held | expired | refused | dead | sending
                | cancelled (the ticket is closed or asks for something else now)
                | answered, unknown (nothing more is sent of a run of which a part was)
    sending  -> answered | refused | unknown | queued (the call is closed not_sent, Nexthink said "later", or
                the mapping has it sent again to the Engines that missed it)
    unknown  -> answered (late answer, or a person says so) | refused (the same, that it did not run)
                | queued (a new attempt by a person, or it was found out that nothing was sent)
    answered -> queued (a second send to the Engines that missed it, by a person)
    held     -> queued (released, approved, or the limit's window allows) | cancelled | expired
                | answered, unknown (cancelled or expired after a part was sent)
    refused, expired, cancelled, recorded, dead: ended, and answered too until somebody sends it again;
    what is owed to the ticket is in the outbox

A run of a mapping in mode shadow or announce starts ended as `recorded`, one whose ticket cannot be planned
as `refused`. A call is one Act request, unique by (run, part, attempt):

    planned -> intended -> answered | refused | not_sent | unknown
    unknown -> answered | refused (a late answer);  planned -> dropped (the run ended before its turn)

A comment is a row of the outbox, unique by (run, occasion, n), and so is a change of the ticket after it:

    owed -> posting -> posted | owed (try again) | undeliverable
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NewType

from bridge.errors import Reason

# JSON as the standard library parses it. Only JSON crosses a module border as a dictionary.
Json = Any

SourceName = NewType("SourceName", str)
PortalName = NewType("PortalName", str)
MappingId = NewType("MappingId", str)
DeliveryId = NewType("DeliveryId", str)
RunId = NewType("RunId", str)
SessionId = NewType("SessionId", str)
EngineUid = NewType("EngineUid", str)
DeviceUid = NewType("DeviceUid", str)


# ── words ────────────────────────────────────────────────────────────────────────────────────────────────


class SourceKind(StrEnum):
    JIRA = "jira"
    SERVICENOW = "servicenow"


class EventKind(StrEnum):
    CREATED = "created"
    UPDATED = "updated"
    COMMENTED = "commented"


class Mode(StrEnum):
    """What a mapping that fires does: record only, announce in an internal note, or send."""

    SHADOW = "shadow"
    ANNOUNCE = "announce"
    LIVE = "live"


class Repeat(StrEnum):
    NEVER = "never"
    PER_CHANGE = "per_change"


# The key of a run beside which a ticket gets no other of its mapping (A2).
ONCE = "once"


class Visibility(StrEnum):
    INTERNAL = "internal"
    PUBLIC = "public"


class Trust(StrEnum):
    """What of a webhook is believed: its payload, or only that something happened to the ticket it names."""

    PAYLOAD = "payload"
    DOORBELL = "doorbell"


class DeviceKey(StrEnum):
    """What the texts of a plan's `devices` are: names, UIDs, or logins whose devices are looked up."""

    NAME = "name"
    UID = "uid"
    USER = "user"


class IfSeveral(StrEnum):
    STOP = "stop"
    MOST_RECENT = "most_recent"
    ALL = "all"


class IfSomeMissing(StrEnum):
    STOP = "stop"
    RUN_FOUND = "run_found"


class EngineChoice(StrEnum):
    WHERE_FOUND = "where_found"
    ALL = "all"
    NAMED = "named"


class EngineCode(StrEnum):
    """The six codes of an Act answer, and one for a code that the contract does not know."""

    OK = "ok"
    TIMEOUT = "timeout"
    ENGINE_ERROR = "engine_error"
    NOT_CONNECTED = "not_connected"
    EXCLUDED = "excluded"
    NO_PERMISSION = "no_permission"
    UNRECOGNISED = "unrecognised"


class LimitKind(StrEnum):
    """What a limit counts in its window: runs, distinct devices, or (cooldown) uses of one device."""

    PER_HOUR = "per_hour"
    PER_DAY = "per_day"
    DEVICES_PER_DAY = "devices_per_day"
    COOLDOWN = "cooldown"


class Layer(StrEnum):
    """Who sets a limit, and so whose runs it counts: all, the action's, or the mapping's."""

    BRIDGE = "bridge"
    ACTION = "action"
    MAPPING = "mapping"


class PauseScope(StrEnum):
    """What a pause stops; all but `everything` have a value, `devices` an RE2 pattern for whole names."""

    EVERYTHING = "everything"
    SOURCE = "source"
    MAPPING = "mapping"
    ACTION = "action"
    PORTAL = "portal"
    ENGINE = "engine"
    DEVICES = "devices"


class ApprovalState(StrEnum):
    ASKED = "asked"
    APPROVED = "approved"
    DECLINED = "declined"


class DeliveryState(StrEnum):
    PENDING = "pending"
    EVALUATED = "evaluated"


class Outcome(StrEnum):
    """What evaluating one mapping against one event came to."""

    FIRED = "fired"
    MISSED = "missed"
    UNPLANNABLE = "unplannable"
    ALREADY_SERVED = "already_served"  # it fired, and its one run for this ticket or change exists already
    IGNORED = "ignored"  # it fired, found no device, and says `if_none: ignore`


class RunState(StrEnum):
    QUEUED = "queued"
    CLAIMED = "claimed"
    SENDING = "sending"
    HELD = "held"
    ANSWERED = "answered"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    RECORDED = "recorded"
    DEAD = "dead"


class CallState(StrEnum):
    PLANNED = "planned"
    INTENDED = "intended"
    ANSWERED = "answered"
    REFUSED = "refused"
    NOT_SENT = "not_sent"
    UNKNOWN = "unknown"
    DROPPED = "dropped"


class CommentState(StrEnum):
    OWED = "owed"
    POSTING = "posting"
    POSTED = "posted"
    UNDELIVERABLE = "undeliverable"


class Occasion(StrEnum):
    """What a comment is about; with a run and a number it is unique."""

    ANNOUNCED = "announced"
    ANSWERED = "answered"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    RESOLVED = "resolved"
    LATE = "late"
    HELD = "held"
    RELEASED = "released"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    DEAD = "dead"
    APPROVAL = "approval"
    APPROVED = "approved"
    AFTER = "after"  # no comment: a change of the ticket that an outcome brings about
    AGAIN = "again"


class Tone(StrEnum):
    """How a headline or a result is coloured."""

    GOOD = "good"
    NEUTRAL = "neutral"
    WARNING = "warning"
    BAD = "bad"


# ── HTTP, as the dialects speak of it ────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """One outbound request. `headers` and `body` may hold secrets, so they are not in the repr."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """A whole answer, decoded and within the size limit; header names are lower case."""

    status: int
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)

    def header(self, name: str) -> str | None:
        """Return the first value of a header, by its lower-case name."""
        return next((value for key, value in self.headers if key == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoResponse:
    """No whole answer came. `sent` is true from just before the first byte of the request on (rule S2)."""

    sent: bool
    reason: Reason
    detail: str


# ── receiving ────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookRequest:
    """A request as it came; nothing in it is believed yet. Header names are lower case, order is kept."""

    source: SourceName
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)
    received_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A verified webhook.

    `key` is unique within the source: the sender's identifier, else what names the change, else the digest
    of the body. `digest` is the SHA-256 of the raw body in hex. `timed` says that the body (or what is
    signed) carries the sender's time, so the same body can never be a second event. `signed` says that the
    sender's signature covers the body, so that the times in it are the sender's. `recovered` says that no
    webhook brought it: reconciliation found the ticket changed.
    """

    source: SourceName
    key: str
    digest: str
    timed: bool
    payload: Json = field(repr=False)
    received_at: datetime
    signed: bool = True
    recovered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketRef:
    """What is needed to write to a ticket and to show it. `table` is ServiceNow's; `uid` never changes."""

    source: SourceName
    uid: str
    key: str
    url: str | None = None
    table: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    id: str | None = None
    name: str | None = None
    email: str | None = None
    login: str | None = None

    @property
    def identifiers(self) -> frozenset[str]:
        """Return what may identify an account: id, login and e-mail, never the display name."""
        return frozenset(value for value in (self.id, self.email, self.login) if value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One field that this event changed; values as the ticket shows them."""

    name: str
    before: Json
    after: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """The names under `ticket.` of the mapping language, the same for every ticket system."""

    key: str
    uid: str
    url: str | None = None
    project: str | None = None
    type: str | None = None
    request_type: str | None = None
    status: str | None = None
    summary: str | None = None
    description: str | None = None
    priority: str | None = None
    labels: tuple[str, ...] | None = None
    person: Person = field(default_factory=Person)
    assignee: Person = field(default_factory=Person)
    affected_item: str | None = None
    created_at: str | None = None
    updated_at: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketEvent:
    """What happened to a ticket.

    `change_key` names the change (rule A1): `changelog:900`, `comment:77`, `created`,
    `count:5:rule-name`; None where nothing names it. `fields` is the ticket system's own field names.
    `texts` are the free texts of a comment event, where our marker may stand.
    """

    ref: TicketRef
    ticket: Ticket
    kind: EventKind
    actor: Person | None
    fields: Json = field(repr=False)
    changes: tuple[Change, ...]
    change_key: str | None
    occurred_at: datetime | None
    texts: tuple[str, ...] = field(default=(), repr=False)
    payload: Json = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """A delivery that is genuine and needs nothing, with the reason and the ticket where it names one."""

    reason: Reason
    detail: str
    ticket: TicketRef | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """One entry of the history that a ticket system keeps: who changed what, and when by its own clock."""

    key: str
    at: datetime
    actor: Person
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedTicket:
    """A ticket as its system tells it to us now, which is believed whatever a webhook said.

    `created_at` and `updated_at` are the system's own times, `created_by` and `updated_by` who created it and
    who made the newest change that it tells of (None: it does not say). `history` and `comments` hold what
    was asked for, the oldest first; `comments` are (id, author, time). `roles` are the people whom an
    approval rule may name: person, reporter, assignee. `payload` is the system's answer, under the root
    `payload.`.
    """

    ref: TicketRef
    ticket: Ticket
    fields: Json = field(repr=False)
    payload: Json = field(repr=False)
    closed: bool
    created_at: datetime | None
    history: tuple[HistoryEntry, ...]
    comments: tuple[tuple[str, Person, datetime], ...]
    roles: tuple[tuple[str, Person], ...]
    updated_at: datetime | None = None
    created_by: Person | None = None
    updated_by: Person | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketApproval:
    """One person's decision in the ticket system's own approvals; `state` ASKED while it is open.

    `final` says that the system as a whole regards the ticket as approved or declined.
    """

    state: ApprovalState
    by: Person
    at: datetime | None
    final: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NotRead:
    """A ticket system did not tell what it was asked. `gone`: the ticket does not exist, or not for us."""

    gone: bool
    reason: Reason
    detail: str
    retry_after: timedelta | None = None


# ── evaluating ───────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionTrace:
    """One condition, what it saw and whether it held (None: neither, the value was missing)."""

    wanted: str
    seen: str | None
    held: bool | None
    parts: tuple["ConditionTrace", ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why a ticket cannot be turned into an action. `place` is a field or parameter name of the mapping."""

    reason: Reason
    place: str | None
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CommentStyle:
    """How a mapping's comments look. `intro` has its $names already filled."""

    visibility: Visibility = Visibility.INTERNAL
    intro: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFence:
    """RE2 patterns, whole name, case ignored. `names` None means every name is inside."""

    names: str | None = None
    never: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceUser:
    """Whose devices a plan may reach: the account as Nexthink names it, and how lately it used the device.

    `login` None: the ticket does not say who the person is, so no device is theirs.
    """

    login: str | None
    domain: str | None
    used_within: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """At most `most` of what `kind` counts, within any `window`; a cooldown is one use of a device."""

    kind: LimitKind
    layer: Layer
    most: int
    window: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRule:
    """When a run needs approval (more devices than `above`), and how the ticket may give it.

    `field` and `becomes` are a change of the ticket that approves; `system` stands for the ticket system's
    own approvals. With neither only `bridge approve` does. `not_by` are roles of the ticket (person, actor,
    reporter, assignee) that may not approve; a group that the approver must belong to is `by_group`.
    """

    above: int
    expires: timedelta
    field: str | None = None
    becomes: str | None = None
    system: bool = False
    not_by: tuple[str, ...] = ("person", "actor")
    by_group: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SendAgain:
    """How often the bridge itself sends again to the Engines that missed a run, and after which wait."""

    times: int
    wait: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteBack:
    """What is changed in the ticket after an outcome; texts as the ticket system shows them."""

    outcome: RunState
    state: str | None = None
    assign_to: str | None = None
    assign_group: str | None = None
    label: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What would be sent for one mapping and one event; `explain` and shadow stop here.

    `devices` are names or UIDs as the ticket gave them, unique and in order; `by` says which. `engines` are
    names or UIDs when `engine_choice` is NAMED, else empty. `params` are in the catalogue's order.
    `max_devices` is the tightest of catalogue, mapping and bridge; `limits` are those of every layer, and
    each holds. `requesters` are the ticket's person and whoever made the change: they may not approve. An
    empty Person among them is somebody of whom nothing is known, and then nobody may.
    `user` bounds the devices to those of one account. What has a default was added after the first release,
    so that plans which wait in a ledger can still be read.
    """

    mapping: MappingId
    mapping_set: str
    mode: Mode
    repeat: Repeat
    action: str
    title: str
    remote_action_uid: str
    portal: PortalName
    devices: tuple[str, ...]
    by: DeviceKey
    fence: DeviceFence
    if_several: IfSeveral
    if_some_missing: IfSomeMissing
    max_devices: int
    engine_choice: EngineChoice
    engines: tuple[str, ...]
    params: tuple[tuple[str, str], ...]
    timeout_seconds: int
    repeatable: bool
    max_age: timedelta
    style: CommentStyle
    ticket: TicketRef
    asked_by: str | None
    occurred_at: datetime
    limits: tuple[Limit, ...] = ()
    approval: ApprovalRule | None = None
    requesters: tuple[Person, ...] = ()
    user: DeviceUser | None = None
    send_again: SendAgain | None = None
    after: tuple[WriteBack, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Unplannable:
    """A mapping that fired for a ticket from which no plan could be made; told in the ticket."""

    mapping: MappingId
    mapping_set: str
    mode: Mode
    action: str
    title: str
    style: CommentStyle
    ticket: TicketRef
    problem: Problem
    after: tuple[WriteBack, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One mapping against one event: `result` is a Plan (FIRED), an Unplannable, or None."""

    mapping: MappingId
    outcome: Outcome
    trace: tuple[ConditionTrace, ...]
    result: Plan | Unplannable | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    mapping_set: str
    decisions: tuple[Decision, ...]


# ── Nexthink ─────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """An Engine as List Engines tells of it. `uid` is 32 lower-case hex digits."""

    uid: EngineUid
    name: str
    address: str
    connected: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundDevice:
    """One row of an NXQL answer: a device as one Engine knows it. `last_seen` is the Engine's own text.

    Where it was asked for the devices of an account, that is `user`, and `last_seen` its last use, in UTC.
    """

    uid: DeviceUid
    name: str
    last_seen: str | None
    engine: EngineUid
    user: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A resolved target. `name` is None where a UID was given and no Engine could be asked."""

    uid: DeviceUid
    name: str | None
    engines: tuple[EngineUid, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The frozen content of one call (S7). `engines` None means that none are sent: all connected ones."""

    number: int
    devices: tuple[Device, ...]
    engines: tuple[EngineUid, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOutcome:
    """What one Engine answered. `code_text` is the code as it came; `message` is not masked yet."""

    engine: EngineUid
    name: str | None
    code: EngineCode
    code_text: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallResult:
    """How a call ended: state is ANSWERED, REFUSED, NOT_SENT or UNKNOWN.

    `error_code` and `error_text` are Nexthink's own (`NO_MANUAL_EXECUTION`, …). `retry_after` only where the
    same call may be made again later (429, or a declared proxy 503).
    """

    state: CallState
    outcomes: tuple[EngineOutcome, ...] = ()
    reason: Reason | None = None
    error_code: str | None = None
    error_text: str | None = None
    status: int | None = None
    retry_after: timedelta | None = None


# ── what is remembered ───────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One Act request, from its plan to its answer; `latest_end` is set with the intent (rule S4)."""

    run: RunId
    part: Part
    attempt: int
    state: CallState
    intended_at: datetime | None = None
    latest_end: datetime | None = None
    ended_at: datetime | None = None
    result: CallResult | None = None

    @property
    def request_uid(self) -> str:
        """Return the id that Nexthink logs: run, part and attempt."""
        return f"{self.run}-{self.part.number}-{self.attempt}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One action for one ticket. `key` is unique with source, ticket and mapping (rule A2).

    `owner` is the worker session that may change it. `crashes` counts sessions that died with it started.
    `waived` says that a person released it over a limit; `replay_of` is the run that it repeats.
    Since `purged_at` only its row is kept: plan, calls, comments and timeline were removed.
    """

    id: RunId
    delivery: DeliveryId
    ticket: TicketRef
    mapping: MappingId
    key: str
    state: RunState
    reason: Reason | None
    detail: str | None
    plan: Plan | None
    owner: SessionId | None
    crashes: int
    tries: int
    due_at: datetime
    created_at: datetime
    ended_at: datetime | None
    waived: bool = False
    replay_of: RunId | None = None
    purged_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """What is not sent until it is lifted or expires. `detail` is the author's reason, in their words.

    `reason` is BY_OPERATOR for a person's, LIMIT_TRIPPED for the bridge's own, else the answer of the portal
    that made the bridge pause it (S6). `run` is the run that brought it about.
    """

    id: int
    scope: PauseScope
    value: str
    reason: Reason
    author: str | None
    detail: str | None
    at: datetime
    expires_at: datetime | None
    run: RunId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """What a run needs before it is sent: bound to the plan by its hash, and to a time.

    `asked_at` is when it was asked for; only what was decided after that counts. `parts` are what the hash
    stands for: the devices and Engines that would be reached.
    """

    run: RunId
    plan_hash: str
    state: ApprovalState
    asked_at: datetime
    expires_at: datetime
    decided_at: datetime | None
    decided_by: str | None
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a ticket system knows a person by: an account id, a login or an e-mail address."""

    source: SourceName
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A personal token, without its secret: whose it is in each ticket system, and how long it counts."""

    name: str
    identities: tuple[Identity, ...]
    made_at: datetime
    made_by: str
    expires_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineRow:
    """One line of a comment's table."""

    engine: str
    result: str
    tone: Tone
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A comment before it is dressed for a ticket system: plain text everywhere, nothing escaped yet.

    `marker` is shown as its last line and is how a lost comment is found again. `details` is the address in
    the console where the whole story stands; it is ours, so that it may be a link.
    """

    headline: str
    tone: Tone
    intro: str | None
    rows: tuple[EngineRow, ...]
    facts: tuple[tuple[str, str], ...]
    advice: tuple[str, ...]
    marker: str
    details: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OwedComment:
    """A comment as it enters the outbox: its text is final, in the ticket system's own form (rule T3).

    `after` are the changes of the ticket that its mapping asks for; the one of the outcome that the run has
    by then is owed with it.
    """

    occasion: Occasion
    n: int
    marker: str
    text: str = field(repr=False)
    visibility: Visibility
    after: tuple[WriteBack, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """A row of the outbox. `uncertain_until` is the latest end of a request whose answer was lost.

    With a `change` it is no comment: the ticket is to be changed so, and the text says it in words.
    """

    id: int
    run: RunId
    ticket: TicketRef
    owed: OwedComment
    state: CommentState
    attempt: int
    due_at: datetime
    owed_at: datetime
    uncertain_until: datetime | None
    posted_id: str | None
    reason: Reason | None
    change: WriteBack | None = None
    detail: str | None = None


class PostFailure(StrEnum):
    """What to do about a ticket system's refusal to take or list a comment."""

    LATER = "later"  # try again; `retry_after` says when, where it is known
    PERMANENT = "permanent"  # the ticket is gone, closed for comments, or not ours to write


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """The ticket system took the comment, or it was found by its marker."""

    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotPosted:
    failure: PostFailure
    reason: Reason
    detail: str
    retry_after: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkerAbsent:
    """The whole ticket was searched and the marker is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MorePages:
    """The marker is not on this page; the next one starts at `start`."""

    start: int
