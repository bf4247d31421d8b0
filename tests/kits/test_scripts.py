"""The scripts of the ServiceNow kit, run: what they send is believed, and nothing is lost or doubled."""

import copy
import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bridge.bootstrap.outside import system
from bridge.errors import Reason, WebhookRefused
from bridge.kits import servicenow
from bridge.kits.needs import needs
from bridge.mapping.evaluate import evaluate
from bridge.mapping.language import MappingSet
from bridge.models import Change, Decision, EventKind, Json, Person, TicketEvent, WebhookRequest
from bridge.settings import Settings, SourceSettings

HERE = Path(__file__).parent
DOCS = HERE.parents[1] / "docs"
NODE = shutil.which("node")
NOW = datetime(2026, 5, 28, 20, 26, 45, tzinfo=UTC)
ADDRESS = "https://bridge.example.org/webhooks/servicenow"
SYS_ID = "9d385017c611228701d22104cc95c371"
CALLER = "681ccaf9c0a8016400b98a06818d57c7"

pytestmark = pytest.mark.skipif(NODE is None, reason="node, which runs the scripts, is not installed")

RECORD: dict[str, Json] = {
    "sys_id": {"value": SYS_ID},
    "number": {"value": "INC0010001"},
    "state": {"value": "2", "display_value": "In Progress"},
    "category": {"value": "software", "display_value": "Software"},
    "priority": {"value": "2", "display_value": "2 - High"},
    "short_description": {"value": "Büro ${x} {y} 😀 \x7f \u2028 'quoted' \"text\""},
    "caller_id": {
        "value": CALLER,
        "display_value": "Rita Reporter",
        "columns": {"email": {"value": "rita@example.com"}, "user_name": {"value": "rita"}},
    },
    "opened_by": {"value": "5137153cc611227c000bbd1bd8cd2005", "display_value": "Integration"},
    "cmdb_ci": {"value": "affd3c8437201000deeabfc8bcbe5dc3", "display_value": "WS-ABC-12345"},
    "assigned_to": {"value": ""},
    "sys_mod_count": {"value": "5"},
    "sys_updated_by": {"value": "ana"},
    "sys_updated_on": {"value": "2026-05-28 20:26:40", "display_value": "28/05/2026 22:26:40"},
}


def earlier(**values: Json) -> dict[str, Json]:
    return copy.deepcopy(RECORD) | {"sys_mod_count": {"value": "4"}} | values


@dataclass
class Instance:
    """An instance with both scripts, and the bridge that hears what they send."""

    source: SourceSettings
    secret: str
    rule: str
    job: str
    now: float = NOW.timestamp()
    outbox: list[dict[str, str]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def save(self, **scenario: Json) -> None:
        """Have a record saved, as the rule sees it."""
        assert self._run(self.rule, {"current": RECORD, "previous": earlier(), **scenario}) == []

    def send(self, *answers: int, after: float = 0) -> list[Json]:
        """Have the job run some seconds later, and return what it sent; the bridge answers with statuses."""
        self.now += after
        return self._run(self.job, {"answers": list(answers)})

    def heard(self, message: Json) -> TicketEvent:
        """Return what the bridge reads in a message; raise WebhookRefused where it does not believe it."""
        bridge = system(self.source)
        request = WebhookRequest(
            source=self.source.name,
            headers=tuple(message["headers"].items()),
            body=message["body"].encode("utf-8"),
            received_at=datetime.fromtimestamp(self.now, tz=UTC),
        )
        event = bridge.parse_event(bridge.open(request))
        assert isinstance(event, TicketEvent)
        return event

    def received(self, **scenario: Json) -> TicketEvent:
        """Have a record saved and sent, and return what the bridge reads."""
        self.save(**scenario)
        (message,) = self.send()
        return self.heard(message)

    def states(self) -> list[str]:
        return [row["u_state"] for row in self.outbox]

    def _run(self, script: str, scenario: dict[str, Json]) -> list[Json]:
        whole = {
            "script": script,
            "properties": {"bridge.webhook.key": self.secret, "bridge.account": "svc.bridge"},
            "user": "ana",
            "table": "incident",
            "operation": "update",
            "journal": {},
            "now": int(self.now * 1000) + 999,
            "outbox": self.outbox,
            **scenario,
        }
        done = subprocess.run(
            [str(NODE), str(HERE / "platform.js")],
            input=json.dumps(whole),
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        answer = json.loads(done.stdout)
        self.outbox, self.said = answer["outbox"], answer["said"]
        sent: list[Json] = answer["sent"]
        return sent


@pytest.fixture
def instance(settings: Callable[..., Settings], secrets: dict[str, str]) -> Callable[..., Instance]:
    """Make an instance with the scripts for the mappings of a set; without one everything is sent."""

    def make(mapping_set: MappingSet | None = None, verify: str = "standard", **more: str) -> Instance:
        (source,) = settings("servicenow", "servicenow", verify, **more).sources
        sent = servicenow.EVERYTHING
        if mapping_set is not None:
            sent = servicenow.what_is_sent(source, needs(mapping_set, source.name))
        return Instance(
            source=source,
            secret=secrets[verify],
            rule=servicenow.rule(sent),
            job=servicenow.job(source, ADDRESS),
        )

    return make


# ── what is sent ─────────────────────────────────────────────────────────────────────────────────────────


def test_an_update_is_signed_believed_and_read_whole(instance: Callable[..., Instance]) -> None:
    event = instance().received(previous=earlier(state={"value": "1", "display_value": "New"}))
    assert (event.kind, event.change_key) == (EventKind.UPDATED, "count:5:bridge")
    assert event.changes == (Change(name="state", before="New", after="In Progress"),)
    assert event.ref.key == "INC0010001"
    assert event.ticket.person == Person(
        id=CALLER, name="Rita Reporter", email="rita@example.com", login="rita"
    )
    assert (event.ticket.status, event.ticket.affected_item) == ("In Progress", "WS-ABC-12345")
    assert event.ticket.summary == RECORD["short_description"]["value"]
    assert event.fields["raw"]["state"] == "2"
    assert event.actor == Person(login="ana")
    assert event.occurred_at == datetime(2026, 5, 28, 20, 26, 40, tzinfo=UTC)


def test_a_new_record_is_created_without_changes(instance: Callable[..., Instance]) -> None:
    event = instance().received(operation="insert", previous=None)
    assert (event.kind, event.change_key, event.changes) == (EventKind.CREATED, "created", ())


def test_a_note_alone_is_a_comment_with_its_text(instance: Callable[..., Instance]) -> None:
    event = instance().received(journal={"work_notes": "28/05/2026 - Ana (Work notes)\nplease run it"})
    assert event.kind is EventKind.COMMENTED
    assert event.texts == ("28/05/2026 - Ana (Work notes)\nplease run it",)


def test_what_is_sent_is_ascii_and_not_substituted(instance: Callable[..., Instance]) -> None:
    desk = instance()
    desk.save()
    (message,) = desk.send()
    assert message["body"].isascii()
    assert message["literal"]
    assert message["method"] == "post"
    assert message["url"] == ADDRESS


def test_the_conversation_is_not_sent_as_columns(instance: Callable[..., Instance]) -> None:
    assert not {"comments", "work_notes"} & set(instance().received().fields)


def test_our_own_account_s_changes_are_not_sent(instance: Callable[..., Instance]) -> None:
    desk = instance()
    desk.save(user="svc.bridge")
    assert desk.outbox == []


# ── no more than mappings read ───────────────────────────────────────────────────────────────────────────


def decided(event: TicketEvent, mapping_set: MappingSet) -> list[tuple[Any, ...]]:
    def of(decision: Decision) -> tuple[Any, ...]:
        result = decision.result
        wanted = [getattr(result, name, None) for name in ("devices", "params", "problem", "user")]
        return (decision.mapping, decision.outcome, wanted, [trace.held for trace in decision.trace])

    return [of(decision) for decision in evaluate(event, mapping_set, received_at=NOW).decisions]


@pytest.mark.parametrize(
    "saved",
    [
        {"previous": earlier(state={"value": "1", "display_value": "New"})},
        {"previous": earlier(short_description={"value": "canary: other words"})},
        {"previous": earlier(), "journal": {"comments": "canary"}},
        {"operation": "insert", "previous": None, "current": {**RECORD, "category": {"value": "teams"}}},
        {"operation": "insert", "previous": None, "current": {**RECORD, "caller_id": {"value": ""}}},
    ],
    ids=["taken into work", "reworded", "commented", "about Teams", "without a caller"],
)
def test_the_mappings_decide_the_same_as_if_everything_were_sent(
    instance: Callable[..., Instance], shipped: MappingSet, saved: dict[str, Json]
) -> None:
    narrow, whole = instance(shipped), instance()
    if saved.get("journal"):
        narrow.save(**saved)
        assert narrow.outbox == []  # no mapping asks for notes, so nothing could come of it
        assert all(outcome == "missed" for _, outcome, *_ in decided(whole.received(**saved), shipped))
        return
    assert decided(narrow.received(**saved), shipped) == decided(whole.received(**saved), shipped)


def test_no_value_is_sent_that_no_mapping_reads(
    instance: Callable[..., Instance], shipped: MappingSet
) -> None:
    desk = instance(shipped)
    event = desk.received(
        previous=earlier(
            state={"value": "1", "display_value": "New"}, short_description={"value": "canary: before"}
        ),
        current={**RECORD, "short_description": {"value": "canary: now"}, "u_salary": {"value": "canary"}},
        journal={"work_notes": "canary"},
    )
    body = json.dumps(event.payload)
    assert "canary" not in body
    assert "short_description" in body  # that it changed is asked by `changed`, so its name is sent
    wanted = {"number", "state", "category", "cmdb_ci", "priority", "caller_id"}
    assert set(event.fields) == wanted | {"raw", "caller_id.email", "caller_id.user_name"}
    assert event.kind is EventKind.UPDATED


def test_a_mapping_that_asks_for_notes_is_sent_them(
    instance: Callable[..., Instance], mappings: Callable[[str], MappingSet]
) -> None:
    asks = mappings(
        "version: 1\n"
        "mappings:\n"
        "  - id: noted\n"
        "    source: servicenow\n"
        "    events: [commented]\n"
        "    when: [{field: ticket.type, equals: incident}]\n"
        "    action: repair-office\n"
        "    devices: {from: ticket.affected_item}\n"
    )
    event = instance(asks).received(journal={"comments": "please"})
    assert (event.kind, event.texts) == (EventKind.COMMENTED, ("please",))


@pytest.mark.parametrize("verify", ["token", "basic"])
def test_who_cannot_sign_only_rings(
    instance: Callable[..., Instance], shipped: MappingSet, verify: str
) -> None:
    desk = instance(shipped, verify)
    event = desk.received()
    assert event.payload == {"rule": "bridge", "table": "incident", "sys_id": SYS_ID}


# ── how it is proved ─────────────────────────────────────────────────────────────────────────────────────


PROOFS: dict[str, dict[str, str]] = {
    "standard": {"verify": "standard"},
    "token": {"verify": "token"},
    "token in a header": {"verify": "token", "TOKEN_HEADER": "x-webhook-secret"},
    "basic": {"verify": "basic"},
    "hmac": {"verify": "hmac"},
    "hmac, base64": {
        "verify": "hmac",
        "SIGNATURE_HEADER": "x-sn-signature",
        "SIGNATURE_PREFIX": "none",
        "SIGNATURE_ENCODING": "base64",
    },
    "hmac, time and id": {
        "verify": "hmac",
        "SIGNED_TEXT": "{id}.{timestamp}.{body}",
        "ID_HEADER": "x-id",
        "TIMESTAMP_HEADER": "x-time",
    },
    "hmac, time": {"verify": "hmac", "SIGNED_TEXT": "{timestamp}.{body}", "TIMESTAMP_HEADER": "x-time"},
}


@pytest.mark.parametrize("given", PROOFS.values(), ids=PROOFS)
def test_every_way_of_the_settings_is_believed_and_only_with_the_secret(
    instance: Callable[..., Instance], given: dict[str, str]
) -> None:
    desk = instance(**given)
    desk.save()
    (message,) = desk.send()
    assert desk.heard(message).ref.key == "INC0010001"
    other = instance(**given)
    other.secret = (
        "b3RoZXItc2VjcmV0LW9mLW1vcmUtdGhhbi0yNC1ieXRlcw==" if given["verify"] == "standard" else "x:y"
    )
    other.save()
    (forged,) = other.send()
    with pytest.raises(WebhookRefused) as refused:
        other.heard(forged)
    assert refused.value.reason is Reason.BAD_SIGNATURE


# ── the outbox ───────────────────────────────────────────────────────────────────────────────────────────


def test_what_was_sent_is_not_sent_again_and_its_body_does_not_stay(
    instance: Callable[..., Instance],
) -> None:
    desk = instance()
    desk.save()
    assert len(desk.send()) == 1
    assert desk.send(after=30) == []
    assert desk.states() == ["sent"]
    assert desk.outbox[0]["u_body"] == ""


def test_one_change_is_one_row_however_often_the_rule_runs(instance: Callable[..., Instance]) -> None:
    desk = instance()
    desk.save()
    desk.save()
    assert len(desk.outbox) == 1
    assert desk.said == [f"bridge: incident {SYS_ID} could not be put into u_bridge_outbox"]


@pytest.mark.parametrize("answer", [0, 401, 404, 429, 500, 503])
def test_what_did_not_get_through_is_sent_again_later_under_the_same_name(
    instance: Callable[..., Instance], answer: int
) -> None:
    desk = instance()
    desk.save()
    (first,) = desk.send(answer)
    assert desk.states() == ["waiting"]
    assert desk.outbox[0]["u_answer"].startswith(f"{answer} ")
    assert desk.send(after=20) == []
    # Hours later it is signed anew, so that its time is inside the window.
    (second,) = desk.send(after=4 * 3600)
    assert second["body"] == first["body"]
    assert second["headers"]["webhook-id"] == first["headers"]["webhook-id"]
    assert desk.heard(second).ref.key == "INC0010001"
    assert desk.states() == ["sent"]


def test_while_the_bridge_is_away_it_is_asked_once_in_each_round_and_then_gets_everything_in_order(
    instance: Callable[..., Instance],
) -> None:
    desk = instance()
    for count in range(5, 8):
        desk.save(current={**RECORD, "sys_mod_count": {"value": str(count)}})
        desk.now += 1
    assert len(desk.send(503)) == 1
    assert len(desk.send(0, after=1)) == 1
    sent = desk.send(after=3600)
    assert [json.loads(message["body"])["sys_mod_count"] for message in sent] == ["5", "6", "7"]


def test_the_waits_grow_and_what_is_three_days_old_is_given_up(instance: Callable[..., Instance]) -> None:
    desk = instance()
    desk.save()
    waits = []
    for _ in range(9):
        assert len(desk.send(500)) == 1
        due = datetime.strptime(desk.outbox[0]["u_due"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp()
        waits.append(round(due - desk.now))
        desk.now = due
    assert waits == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]
    desk.send(500, after=3 * 86_400)
    assert desk.states() == ["given up"]
    assert desk.send(after=3_600) == []
    assert desk.outbox[0]["u_body"] != ""


@pytest.mark.parametrize("answer", [400, 413, 415])
def test_what_the_bridge_can_never_take_is_set_aside_and_holds_up_nothing(
    instance: Callable[..., Instance], answer: int
) -> None:
    desk = instance()
    desk.save()
    desk.save(current={**RECORD, "sys_mod_count": {"value": "6"}})
    assert len(desk.send(answer)) == 2
    assert sorted(desk.states()) == ["refused", "sent"]
    assert len(desk.said) == 1


def test_rows_that_were_sent_are_removed_after_a_week(instance: Callable[..., Instance]) -> None:
    desk = instance()
    desk.save()
    desk.send()
    desk.send(after=6 * 86_400)
    assert desk.states() == ["sent"]
    desk.send(after=2 * 86_400)
    assert desk.outbox == []


# ── the documentation ────────────────────────────────────────────────────────────────────────────────────


def test_the_scripts_of_the_documentation_are_those_of_the_kit_for_whoever_sends_everything(
    settings: Callable[..., Settings],
) -> None:
    (source,) = settings("servicenow", "servicenow", "standard").sources
    address = "https://bridge.example.com/webhooks/servicenow"
    assert (DOCS / "servicenow-business-rule.js").read_text() == servicenow.rule(servicenow.EVERYTHING), (
        "run `make docs`"
    )
    assert (DOCS / "servicenow-outbox-job.js").read_text() == servicenow.job(source, address)


def test_what_a_mapping_names_stays_a_text_in_the_scripts(
    instance: Callable[..., Instance], mappings: Callable[[str], MappingSet]
) -> None:
    names = ["%DOTTED%", "\"); gs.error('canary'); (\"", "</script>"]
    asked = "\n".join(
        f"      - {json.dumps({'field': 'fields.' + json.dumps(name), 'equals': 'x'})}" for name in names
    )
    hostile = mappings(
        "version: 1\n"
        "mappings:\n"
        "  - id: hostile\n"
        "    source: servicenow\n"
        "    events: [updated]\n"
        f"    when:\n{asked}\n"
        "    action: repair-office\n"
        "    devices: {from: ticket.affected_item}\n"
    )
    desk = instance(hostile)
    for name in names:
        assert json.dumps(name) in desk.rule
    desk.received()
    assert desk.said == []
