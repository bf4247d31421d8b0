"""The closed family of errors, and the closed vocabulary of reasons that metrics, logs and rows carry.

It must not hold texts for ticket readers; those are made in `comments`.
"""

from enum import StrEnum


class Reason(StrEnum):
    """Why something did not go the plain way; each value is also a metric label and a column value."""

    # a webhook was refused
    UNKNOWN_SOURCE = "unknown_source"
    BAD_SIGNATURE = "bad_signature"
    BAD_TIMESTAMP = "bad_timestamp"
    NOT_JSON = "not_json"
    NOT_A_TICKET = "not_a_ticket"
    TOO_LARGE = "too_large"
    WRONG_TYPE = "wrong_type"
    LEDGER_UNAVAILABLE = "ledger_unavailable"
    # a delivery was accepted and needs nothing
    DUPLICATE = "duplicate"
    OWN_CHANGE = "own_change"
    UNSERVED_KIND = "unserved_kind"
    NO_MAPPING = "no_mapping"
    ALREADY_SERVED = "already_served"
    # a ticket asks for an action that cannot be planned or resolved
    VALUE_MISSING = "value_missing"
    VALUE_REFUSED = "value_refused"
    NO_DEVICE = "no_device"
    DEVICE_REFUSED = "device_refused"
    DEVICE_NOT_FOUND = "device_not_found"
    SEVERAL_DEVICES = "several_devices"
    TOO_MANY_DEVICES = "too_many_devices"
    NO_PORTAL = "no_portal"
    CONFLICT = "conflict"
    ENGINE_UNKNOWN = "engine_unknown"
    LOOKUP_FAILED = "lookup_failed"
    NOT_THEIR_DEVICE = "not_their_device"
    # a run waits or ended without a call
    SHADOW = "shadow"
    ANNOUNCED = "announced"
    LOOP = "loop"
    PORTAL_PAUSED = "portal_paused"
    PAUSED = "paused"
    OVER_LIMIT = "over_limit"
    LIMIT_TRIPPED = "limit_tripped"
    CLOCK_WENT_BACK = "clock_went_back"
    AWAITING_APPROVAL = "awaiting_approval"
    NOT_APPROVED = "not_approved"
    PLAN_CHANGED = "plan_changed"
    TICKET_CLOSED = "ticket_closed"
    TICKET_NOT_READ = "ticket_not_read"
    RESTORED = "restored"
    WITHDRAWN = "withdrawn"
    TOO_OLD = "too_old"
    BY_OPERATOR = "by_operator"
    CRASHES = "crashes"
    # a call, a read or a comment failed: position first
    NOT_CONNECTED = "not_connected"
    TLS_FAILED = "tls_failed"
    TOO_LATE_TO_SEND = "too_late_to_send"
    INTENT_NOT_COMMITTED = "intent_not_committed"
    CONNECTION_LOST = "connection_lost"
    DEADLINE = "deadline"
    WORKER_LOST = "worker_lost"
    ANSWER_TOO_LARGE = "answer_too_large"
    ANSWER_UNREADABLE = "answer_unreadable"
    REDIRECTED = "redirected"
    SERVER_ERROR = "server_error"
    RATE_LIMITED = "rate_limited"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    REJECTED = "rejected"
    NO_PERMISSION = "no_permission"
    NO_ENGINES_TO_TARGET = "no_engines_to_target"
    MADE_PUBLIC = "made_public"
    # somebody could not sign in
    NOT_KNOWN = "not_known"
    NO_SUCH_PERSON = "no_such_person"
    NOT_BELIEVED = "not_believed"
    TOO_MANY_TRIES = "too_many_tries"


class BridgeError(Exception):
    """Every error that the bridge raises on purpose."""


class ConfigurationError(BridgeError):
    """Settings or files cannot be used; `problems` names each one and its way out, never a secret value."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class WebhookRefused(BridgeError):
    """A webhook request is not believed or not readable; `status` is what the sender is told."""

    def __init__(self, status: int, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.reason = reason
        self.detail = detail


class LedgerUnavailable(BridgeError):
    """The ledger could not commit. `maybe_committed` is true when the COMMIT itself failed."""

    def __init__(self, detail: str, *, maybe_committed: bool = False) -> None:
        super().__init__(detail)
        self.maybe_committed = maybe_committed


class LostOwnership(BridgeError):
    """A transition was refused because the row is not owned by this session or changed meanwhile."""


class NotPossible(BridgeError):
    """A person asked for what the state does not allow; the message names the state and the way out."""


class Unreadable(NotPossible):
    """What a person asked for was written by another version of the bridge, and this one cannot read it."""


class SignInRefused(BridgeError):
    """Somebody could not sign in; the message is what they are told, and tells nothing of others."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class EvidenceBroken(BridgeError):
    """The audit was changed behind the bridge's back; the message says where it is looked at."""
