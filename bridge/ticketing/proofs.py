"""Decide whether a webhook request comes from who holds the source's secret.

It must not parse the body, read a clock, or tell what a secret is or which check failed.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal, NoReturn, TypeAlias

from standardwebhooks import Webhook

from bridge.errors import Reason, WebhookRefused
from bridge.models import WebhookRequest

SignatureEncoding: TypeAlias = Literal["hex", "base64"]
SignedText: TypeAlias = Literal["{body}", "{timestamp}.{body}", "{id}.{timestamp}.{body}"]

_SIGNED_TEXTS: Final = ("{body}", "{timestamp}.{body}", "{id}.{timestamp}.{body}")
_MIN_KEY_BYTES: Final = 24  # what Standard Webhooks asks for, and enough for HMAC-SHA256
_MIN_TOKEN_BYTES: Final = 16
_MAX_WINDOW_SECONDS: Final = 86_400
_MAX_TIMESTAMP_DIGITS: Final = 11  # epoch seconds until the year 5138
_LONGEST_IDENTIFIER: Final = 200
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_REFUSAL: Final = "the request is not signed by this source"


@dataclass(frozen=True, slots=True, kw_only=True)
class HmacProof:
    """HMAC-SHA256 over the raw body, alone or behind a timestamp (epoch seconds) and an identifier."""

    secrets: tuple[str, ...] = field(repr=False)
    signature_header: str = "x-hub-signature"
    signature_prefix: str = "sha256="
    signature_encoding: SignatureEncoding = "hex"
    signed_text: SignedText = "{body}"
    timestamp_header: str | None = None
    id_header: str | None = None
    time_window_seconds: int = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class StandardProof:
    """Standard Webhooks 1.0; secrets are base64, with or without `whsec_` in front."""

    secrets: tuple[str, ...] = field(repr=False)
    time_window_seconds: int = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenProof:
    """A fixed token: `Authorization: Bearer <token>`, or the bare token in another header."""

    secrets: tuple[str, ...] = field(repr=False)
    token_header: str = "authorization"  # noqa: S105 - a header's name, not a secret


@dataclass(frozen=True, slots=True, kw_only=True)
class BasicProof:
    """HTTP Basic; each secret is `user:password`."""

    secrets: tuple[str, ...] = field(repr=False)


Proof: TypeAlias = HmacProof | StandardProof | TokenProof | BasicProof

# The word of the setting VERIFY, and the proof whose fields carry the other settings' names.
PROOFS: Final[Mapping[str, type[HmacProof | StandardProof | TokenProof | BasicProof]]] = {
    "hmac": HmacProof,
    "standard": StandardProof,
    "token": TokenProof,
    "basic": BasicProof,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """What a valid proof covers besides the body: the sender's identifier and time, where they are signed.

    `seconds` is the signed time since the epoch.
    """

    message_id: str | None = None
    seconds: int | None = None

    @property
    def identifier(self) -> str | None:
        """Return the key that a signed identifier gives a delivery; None where none is signed or usable."""
        name = self.message_id
        return f"id:{name}" if name and len(name) <= _LONGEST_IDENTIFIER and name.isprintable() else None

    def body_key(self, digest: str) -> str:
        """Return the key of a delivery whose body names nothing: its digest.

        With a signed time that is one event for ever (rule A1): the same bytes are no second one.
        """
        return f"digest:{digest}" if self.seconds is None else f"signed:{self.seconds}:{digest}"


def verify(proof: Proof, request: WebhookRequest) -> Proven:
    """Return what is proven, or raise WebhookRefused (401) with the same text whatever was wrong.

    BAD_TIMESTAMP is kept for a genuine signature outside the time window: a clock or a queue to look at.
    """
    if problems(proof):
        _refuse()  # anyone can sign with an empty key
    match proof:
        case HmacProof():
            return _verify_hmac(proof, request)
        case StandardProof():
            return _verify_standard(proof, request)
        case TokenProof():
            _verify_token(proof, request)
        case BasicProof():
            given = _credentials(_header(request, "authorization"), b"basic")
            _require_one_of((base64.b64encode(secret.encode()) for secret in proof.secrets), given)
    return Proven()


def covers_body(proof: Proof) -> bool:
    """Say whether a proof is a signature over the body, so that what the body says is the sender's word."""
    return isinstance(proof, HmacProof | StandardProof)


def problems(proof: Proof) -> tuple[str, ...]:
    """Return what makes a proof unusable, by the setting's name and never by its value."""
    found = [] if proof.secrets else ["SECRETS is empty: give at least one"]
    for number, secret in enumerate(proof.secrets, start=1):
        problem = _secret_problem(proof, secret)
        if problem:
            found.append(f"SECRETS, entry {number}: {problem}")
    if isinstance(proof, HmacProof):
        found += _hmac_problems(proof)
    if isinstance(proof, HmacProof | StandardProof):
        found += _window_problems(proof)
    if isinstance(proof, TokenProof) and not _HEADER_NAME.fullmatch(proof.token_header):
        found.append("TOKEN_HEADER is not a header name")
    return tuple(found)


def _window_problems(proof: HmacProof | StandardProof) -> list[str]:
    if 1 <= proof.time_window_seconds <= _MAX_WINDOW_SECONDS:
        return []
    return [f"TIME_WINDOW_SECONDS must lie between 1 and {_MAX_WINDOW_SECONDS}"]


def _hmac_problems(proof: HmacProof) -> list[str]:
    found = []
    if proof.signed_text not in _SIGNED_TEXTS:
        found.append(f"SIGNED_TEXT must be one of {', '.join(_SIGNED_TEXTS)}")
    if proof.signature_encoding not in {"hex", "base64"}:
        found.append("SIGNATURE_ENCODING must be hex or base64")
    wanted = {"SIGNATURE_HEADER": proof.signature_header}
    if "{timestamp}" in proof.signed_text:
        wanted["TIMESTAMP_HEADER"] = proof.timestamp_header or ""
    if "{id}" in proof.signed_text:
        wanted["ID_HEADER"] = proof.id_header or ""
    for setting, name in wanted.items():
        if not _HEADER_NAME.fullmatch(name):
            found.append(f"{setting} is not a header name, and the signed text needs it")
    return found


def _secret_problem(proof: Proof, secret: str) -> str | None:
    match proof:
        case HmacProof():
            short = len(secret.encode()) < _MIN_KEY_BYTES
            return f"shorter than {_MIN_KEY_BYTES} bytes" if short else None
        case StandardProof():
            return _standard_secret_problem(secret)
        case TokenProof():
            short = len(secret.encode()) < _MIN_TOKEN_BYTES
            return f"shorter than {_MIN_TOKEN_BYTES} bytes" if short else None
        case BasicProof():
            user, _, password = secret.partition(":")
            if not user or not password:
                return "must be user:password"
            short = len(password.encode()) < _MIN_TOKEN_BYTES
            return f"its password is shorter than {_MIN_TOKEN_BYTES} bytes" if short else None


def _standard_secret_problem(secret: str) -> str | None:
    text = secret.removeprefix("whsec_")
    try:
        # The library's own reader skips stray characters, so a mistyped secret would only fail later.
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return "must be base64, with or without whsec_ in front"
    return f"shorter than {_MIN_KEY_BYTES} bytes when decoded" if len(key) < _MIN_KEY_BYTES else None


def _verify_hmac(proof: HmacProof, request: WebhookRequest) -> Proven:
    given = _header(request, proof.signature_header)
    signed = request.body
    sent_at: bytes | None = None
    message_id: bytes | None = None
    if "{timestamp}" in proof.signed_text:
        sent_at = _header(request, proof.timestamp_header or "")
        signed = sent_at + b"." + signed
    if "{id}" in proof.signed_text:
        message_id = _header(request, proof.id_header or "")
        signed = message_id + b"." + signed
    macs = (hmac.new(secret.encode(), signed, hashlib.sha256).digest() for secret in proof.secrets)
    prefix = proof.signature_prefix.encode()
    if proof.signature_encoding == "hex":
        _require_one_of((prefix.lower() + mac.hex().encode() for mac in macs), given.lower())
    else:
        _require_one_of((prefix + base64.b64encode(mac) for mac in macs), given)
    seconds = None if sent_at is None else _epoch_seconds(sent_at)
    if seconds is not None:
        _require_recent(seconds, request.received_at, proof.time_window_seconds)
    name = None if message_id is None else message_id.decode("latin-1")
    return Proven(message_id=name, seconds=seconds)


def _verify_standard(proof: StandardProof, request: WebhookRequest) -> Proven:
    message_id = _header(request, "webhook-id")
    seconds = _epoch_seconds(_header(request, "webhook-timestamp"))
    given = _header(request, "webhook-signature").split(b" ")
    try:
        body, message = request.body.decode("utf-8"), message_id.decode("utf-8")
    except UnicodeDecodeError:
        _refuse()
    at = datetime.fromtimestamp(seconds, tz=UTC)
    expected = [
        Webhook(secret).sign(msg_id=message, timestamp=at, data=body).encode() for secret in proof.secrets
    ]
    # Every secret against every signature: which pair matched must not show in the time taken.
    matches = [hmac.compare_digest(ours, theirs) for ours in expected for theirs in given]
    if not any(matches):
        _refuse()
    _require_recent(seconds, request.received_at, proof.time_window_seconds)
    return Proven(message_id=message, seconds=seconds)


def _verify_token(proof: TokenProof, request: WebhookRequest) -> None:
    given = _header(request, proof.token_header)
    if proof.token_header.lower() == "authorization":
        given = _credentials(given, b"bearer")
    _require_one_of((secret.encode() for secret in proof.secrets), given)


def _header(request: WebhookRequest, name: str) -> bytes:
    """Return the bytes of a header that must be there exactly once."""
    values = [value for key, value in request.headers if key == name.lower()]
    if len(values) != 1:
        _refuse()
    try:
        return values[0].encode("latin-1")
    except UnicodeEncodeError:
        _refuse()


def _credentials(header: bytes, scheme: bytes) -> bytes:
    given_scheme, _, credentials = header.partition(b" ")
    if given_scheme.lower() != scheme:
        _refuse()
    return credentials


def _epoch_seconds(given: bytes) -> int:
    """Read digits only: what is signed and what is compared must be the same number in one spelling."""
    if not given.isdigit() or given.startswith(b"0") or len(given) > _MAX_TIMESTAMP_DIGITS:
        _refuse()
    return int(given)


def _require_one_of(expected: Iterable[bytes], given: bytes) -> None:
    """Compare with every candidate in constant time; no early exit tells which secret is in use."""
    matches = [hmac.compare_digest(candidate, given) for candidate in expected]
    if not any(matches):
        _refuse()


def _require_recent(seconds: int, received_at: datetime, window: int) -> None:
    if abs(received_at.timestamp() - seconds) > window:
        _refuse(Reason.BAD_TIMESTAMP)


def _refuse(reason: Reason = Reason.BAD_SIGNATURE) -> NoReturn:
    raise WebhookRefused(401, reason, _REFUSAL) from None
