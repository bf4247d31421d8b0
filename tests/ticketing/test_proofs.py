"""Who is believed, and that all others are refused in one and the same way."""

import base64
import hashlib
import hmac
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from bridge.errors import Reason, WebhookRefused
from bridge.models import SourceName, WebhookRequest
from bridge.ticketing.proofs import (
    BasicProof,
    HmacProof,
    Proof,
    StandardProof,
    TokenProof,
    problems,
    verify,
)

NOW = datetime(2026, 5, 28, 20, 26, 40, tzinfo=UTC)
SECONDS = str(int(NOW.timestamp()))
BODY = b'{"a":1}'
KEY = "It's a Secret to Everybody"
OTHER = "another secret, just as long as it"
STANDARD_KEY = base64.b64encode(bytes(range(24))).decode()


def request(headers: dict[str, str] | tuple[tuple[str, str], ...], body: bytes = BODY) -> WebhookRequest:
    pairs = tuple(headers.items()) if isinstance(headers, dict) else headers
    return WebhookRequest(source=SourceName("jira"), headers=pairs, body=body, received_at=NOW)


def mac(signed: bytes, key: str = KEY) -> bytes:
    return hmac.new(key.encode(), signed, hashlib.sha256).digest()


def standard_headers(at: datetime = NOW, key: str = STANDARD_KEY) -> dict[str, str]:
    return {
        "webhook-id": "incident:1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(key).sign("incident:1", at, BODY.decode()),
    }


def stamped(seconds: str = SECONDS) -> dict[str, str]:
    return {
        "x-id": "e1",
        "x-time": seconds,
        "x-sign": base64.b64encode(mac(b"e1." + seconds.encode() + b"." + BODY)).decode(),
    }


STAMPED = HmacProof(
    secrets=(KEY,),
    signature_header="X-Sign",
    signature_prefix="",
    signature_encoding="base64",
    signed_text="{id}.{timestamp}.{body}",
    timestamp_header="X-Time",
    id_header="X-Id",
)
TOKEN = "a token of some length"
GOOD: dict[str, tuple[Proof, dict[str, str]]] = {
    "hmac": (HmacProof(secrets=(KEY,)), {"x-hub-signature": "sha256=" + mac(BODY).hex()}),
    "hmac with id and time": (STAMPED, stamped()),
    "standard": (StandardProof(secrets=("whsec_" + STANDARD_KEY,)), standard_headers()),
    "bearer": (TokenProof(secrets=(TOKEN,)), {"authorization": "Bearer " + TOKEN}),
    "token header": (
        TokenProof(secrets=(TOKEN,), token_header="X-Webhook-Secret"),
        {"x-webhook-secret": TOKEN},
    ),
    "basic": (
        BasicProof(secrets=("jira:sixteen letters!",)),
        {"authorization": "Basic " + base64.b64encode(b"jira:sixteen letters!").decode()},
    ),
}
WEAK: dict[str, Proof] = {
    "hmac": HmacProof(secrets=("x" * 23,)),
    "hmac with id and time": replace(STAMPED, secrets=("x" * 23,)),
    "standard": StandardProof(secrets=(base64.b64encode(b"x" * 23).decode(),)),
    "bearer": TokenProof(secrets=("x" * 15,)),
    "token header": TokenProof(secrets=("x" * 15,), token_header="x-webhook-secret"),
    "basic": BasicProof(secrets=("jira:" + "x" * 15,)),
}
kinds = pytest.mark.parametrize("kind", GOOD)


def refused_as(proof: Proof, asked: WebhookRequest) -> WebhookRefused:
    with pytest.raises(WebhookRefused) as refused:
        verify(proof, asked)
    assert refused.value.status == 401
    assert refused.value.detail == "the request is not signed by this source"
    return refused.value


@kinds
def test_the_right_proof_is_believed(kind: str) -> None:
    proof, headers = GOOD[kind]
    assert problems(proof) == ()
    verify(proof, request(headers))


def test_jira_s_own_test_vector_is_believed() -> None:
    signature = "sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9"
    verify(HmacProof(secrets=(KEY,)), request({"x-hub-signature": signature}, b"Hello World!"))


def test_a_signed_identifier_is_proven_and_an_unsigned_one_is_not() -> None:
    assert verify(STAMPED, request(stamped())).message_id == "e1"
    proof, headers = GOOD["standard"]
    assert verify(proof, request(headers)).message_id == "incident:1"
    proof, headers = GOOD["hmac"]
    assert verify(proof, request(headers | {"webhook-id": "x"})).message_id is None


def test_a_signed_time_is_proven_and_an_unsigned_one_is_not() -> None:
    for kind in ("hmac with id and time", "standard"):
        proof, headers = GOOD[kind]
        assert verify(proof, request(headers)).seconds == int(SECONDS)
    proof, headers = GOOD["hmac"]
    assert verify(proof, request(headers | {"x-time": SECONDS})).seconds is None


@kinds
@given(data=st.data())
def test_any_flipped_byte_of_what_is_proven_is_refused(kind: str, data: st.DataObject) -> None:
    proof, headers = GOOD[kind]
    name = data.draw(st.sampled_from(sorted(headers)))
    raw = bytearray(headers[name].encode())
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    flipped = raw.decode("latin-1")
    # Hex digits and the names of schemes mean the same in both cases.
    if flipped.lower() != headers[name].lower():
        refused_as(proof, request(headers | {name: flipped}))


@pytest.mark.parametrize("kind", ["hmac", "hmac with id and time", "standard"])
@given(at=st.integers(0, len(BODY) - 1), flip=st.integers(1, 255))
def test_any_flipped_byte_of_the_body_is_refused(kind: str, at: int, flip: int) -> None:
    proof, headers = GOOD[kind]
    body = bytearray(BODY)
    body[at] ^= flip
    refused_as(proof, request(headers, bytes(body)))


@kinds
@given(value=st.text(st.characters(max_codepoint=255)) | st.text(max_size=20))
def test_a_header_of_any_bytes_is_refused_and_nothing_else(kind: str, value: str) -> None:
    proof, headers = GOOD[kind]
    for name in headers:
        refused_as(proof, request(headers | {name: value}))


@kinds
def test_each_header_is_needed_exactly_once(kind: str) -> None:
    proof, headers = GOOD[kind]
    pairs = tuple(headers.items())
    for pair in pairs:
        refused_as(proof, request(tuple(other for other in pairs if other != pair)))
        refused_as(proof, request((*pairs, pair)))


@kinds
def test_each_of_several_secrets_is_good(kind: str) -> None:
    proof, headers = GOOD[kind]
    new = {"standard": base64.b64encode(b"n" * 24).decode(), "basic": "jira:another password"}.get(
        kind, OTHER
    )
    verify(replace(proof, secrets=(new, *proof.secrets)), request(headers))
    verify(replace(proof, secrets=(*proof.secrets, new)), request(headers))
    refused_as(replace(proof, secrets=(new,)), request(headers))


def test_one_good_signature_among_several_is_enough() -> None:
    proof, headers = GOOD["standard"]
    several = headers | {"webhook-signature": "v1a,xx v1,AAAA " + headers["webhook-signature"]}
    verify(proof, request(several))


@kinds
def test_empty_and_short_secrets_are_a_problem_and_never_verify(kind: str) -> None:
    proof, headers = GOOD[kind]
    for unusable in (replace(proof, secrets=()), replace(proof, secrets=("",)), WEAK[kind]):
        assert any("SECRETS" in problem for problem in problems(unusable))
        refused_as(unusable, request(headers))
    empty_key = {"x-hub-signature": "sha256=" + mac(BODY, key="").hex()}
    refused_as(HmacProof(secrets=("",)), request(empty_key))


@pytest.mark.parametrize(
    ("off", "believed"), [(-301, False), (-300, True), (299, True), (300, True), (301, False)]
)
def test_the_time_window_is_exact_and_told_from_a_bad_signature(off: int, believed: bool) -> None:
    at = NOW + timedelta(seconds=off)
    proof = GOOD["standard"][0]
    for kind, headers in ((proof, standard_headers(at)), (STAMPED, stamped(str(int(at.timestamp()))))):
        if believed:
            verify(kind, request(headers))
        else:
            assert refused_as(kind, request(headers)).reason is Reason.BAD_TIMESTAMP


@pytest.mark.parametrize(
    "seconds", ["1780000000.0", "01780000000", "-1", "1e9", "", "٣", "9" * 12, "9" * 5000]
)
def test_a_time_that_is_not_plain_digits_is_refused_though_signed(seconds: str) -> None:
    raw = seconds.encode()
    signature = base64.b64encode(mac(b"e1." + raw + b"." + BODY)).decode()
    headers = {"x-id": "e1", "x-time": raw.decode("latin-1"), "x-sign": signature}
    refused_as(STAMPED, request(headers))


def test_problems_name_settings_and_never_values() -> None:
    bad = HmacProof(
        secrets=("tooshortvalue",),
        signature_header="a b",
        signed_text="{id}.{timestamp}.{body}",
        time_window_seconds=0,
    )
    found = problems(bad)
    for setting in (
        "SECRETS, entry 1",
        "SIGNATURE_HEADER",
        "TIMESTAMP_HEADER",
        "ID_HEADER",
        "TIME_WINDOW_SECONDS",
    ):
        assert any(problem.startswith(setting) for problem in found), setting
    assert "tooshortvalue" not in " ".join(found)
    assert "tooshortvalue" not in repr(bad)
    assert problems(TokenProof(secrets=("x" * 16,), token_header="")) == (
        "TOKEN_HEADER is not a header name",
    )
    assert problems(StandardProof(secrets=("not base64 ?" * 4,)))
    assert problems(BasicProof(secrets=("no colon but long enough",)))
