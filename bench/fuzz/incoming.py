"""Webhooks: the proof in their headers, and bodies of which the proof is valid."""

import base64
import hashlib
import hmac
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count

from standardwebhooks import Webhook

from bench.fuzz.oracles import made_up_connections, made_up_settings, samples, see_storable
from bridge.bootstrap import check_files
from bridge.errors import WebhookRefused
from bridge.judging import KEY_LENGTH, Judging
from bridge.models import DeliveryId, Person, SourceName, WebhookRequest
from bridge.ticketing.proofs import BasicProof, HmacProof, Proof, StandardProof, TokenProof, verify

NOW = datetime(2026, 5, 28, 20, 26, 41, tzinfo=UTC)
SECONDS = str(int(NOW.timestamp()))
SECRET = "a-secret-that-no-input-of-a-fuzzer-holds"
KEY = base64.b64encode(SECRET.encode()).decode()
JSON = ("content-type", "application/json")
PROVEN = b'{"a": 1}'
PROOFS: tuple[Proof, ...] = (
    HmacProof(secrets=(SECRET,)),
    HmacProof(
        secrets=(SECRET,),
        signature_encoding="base64",
        signed_text="{id}.{timestamp}.{body}",
        timestamp_header="webhook-timestamp",
        id_header="webhook-id",
    ),
    StandardProof(secrets=(KEY,)),
    TokenProof(secrets=(SECRET,)),
    BasicProof(secrets=(f"bridge:{SECRET}",)),
)


def by_hmac(secret: str, body: bytes) -> tuple[tuple[str, str], ...]:
    """Return the headers by which Jira proves a body."""
    return JSON, ("x-hub-signature", f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}")


def by_standard(key: str, body: bytes) -> tuple[tuple[str, str], ...]:
    """Return the headers by which ServiceNow proves a body."""
    signature = Webhook(key).sign("m1", NOW, body.decode("utf-8", "replace"))
    return JSON, ("webhook-id", "m1"), ("webhook-timestamp", SECONDS), ("webhook-signature", signature)


def proofs() -> Callable[[bytes], None]:
    """Header lines, NUL, a body: without the secret no proof is valid, and none of one body for another."""

    def refuse(proof: Proof, headers: tuple[tuple[str, str], ...], body: bytes) -> None:
        request = WebhookRequest(source=SourceName("jira"), headers=headers, body=body, received_at=NOW)
        try:
            verify(proof, request)
        except WebhookRefused as refused:
            assert refused.status == 401, refused
        else:
            raise AssertionError("a proof without the secret was believed")

    def run(data: bytes) -> None:
        head, _, body = data.partition(b"\x00")
        lines = [line.partition(":") for line in head.decode("latin-1").split("\n")]
        headers = tuple((name.strip().lower(), value.strip(" ")) for name, _, value in lines)
        for proof in PROOFS:
            refuse(proof, headers, body)
        if data != PROVEN:
            refuse(PROOFS[0], by_hmac(SECRET, PROVEN), data)
            refuse(PROOFS[2], by_standard(KEY, PROVEN), data)

    return run


def proofs_seeds() -> list[bytes]:
    """Return requests in every form, signed with something else."""
    wrong = base64.b64encode(b"another secret, of the right length and form").decode()
    forms = [
        by_hmac("another secret that is long enough", PROVEN),
        by_standard(wrong, PROVEN),
        (JSON, ("authorization", f"Bearer {wrong}")),
        (JSON, ("authorization", f"Basic {wrong}")),
    ]
    return [
        "\n".join(f"{name}: {value}" for name, value in headers).encode() + b"\x00" + PROVEN
        for headers in forms
    ]


def deliveries() -> Callable[[bytes], None]:
    """A byte that names the system, and a body: judged with the shipped mappings, or refused with a 4xx."""
    settings, connections = made_up_settings(), made_up_connections()
    checked = check_files(settings)
    assert checked.mapping_set is not None, checked.problems
    numbers = count(1)
    judging = Judging(
        connections=lambda: connections,
        mapping_set=lambda: checked.mapping_set,
        accounts=lambda: {name: Person(id="ours", login="ours") for name in connections.sources},
        new_id=lambda: str(next(numbers)),
    )
    secrets = {each.name: each.secrets[0].get_secret_value() for each in settings.sources}

    def run(data: bytes) -> None:
        name = SourceName("servicenow" if data[:1] == b"s" else "jira")
        body, prove = data[1:], by_standard if name == "servicenow" else by_hmac
        request = WebhookRequest(source=name, headers=prove(secrets[name], body), body=body, received_at=NOW)
        system = connections.sources[name].system
        try:
            delivery = system.open(request)
            see_storable(delivery)
            see_storable(system.ring(delivery))
            verdict = judging.of_webhook(DeliveryId("d1"), delivery)
        except WebhookRefused as refused:
            # Standard Webhooks sign text: what is none cannot be proven.
            assert refused.status == 400 or (refused.status == 401 and not _is_text(body)), refused
            return
        see_storable(verdict)
        assert verdict is not None
        assert all(len(run.key) <= KEY_LENGTH for run in verdict.runs)

    return run


def deliveries_seeds() -> list[bytes]:
    """Return every sample, for the system that it is of and for the other."""
    return [system + body for body in samples() for system in (b"j", b"s")]


def _is_text(body: bytes) -> bool:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
