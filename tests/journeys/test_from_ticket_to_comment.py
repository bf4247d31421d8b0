"""Every ticket system's way from a change to the comment, with real processes, on SQLite and PostgreSQL."""

from typing import Any

import pytest

from bridge.errors import Reason
from bridge.ledger import listing
from bridge.models import CallState, RunState
from bridge.sandbox import scenario
from bridge.sandbox.jira.webhooks import Flavour

pytestmark = pytest.mark.journey


def sent(bridge: Any) -> list[Any]:
    calls: list[Any] = bridge.nexthink.calls()["calls"]
    return calls


def names(bridge: Any, call: Any) -> list[str]:
    known = {device["uid"]: device["name"] for device in bridge.nexthink.world()["devices"]}
    return [known[uid] for uid in call["device_uids"]]


@pytest.mark.parametrize(
    ("source", "flavour", "internal"),
    [
        ("jira", Flavour.CLOUD, True),
        ("desk", Flavour.CLOUD, True),
        ("datacenter", Flavour.DATACENTER, True),
        ("automation", Flavour.AUTOMATION, True),
        ("automation", Flavour.AUTOMATION_JIRA_FORMAT, True),
    ],
)
def test_a_jira_ticket_becomes_one_call_and_one_comment(bridge, key, device, source, flavour, internal):
    bridge.ticket(source, key=key, flavour=flavour, devices=(device,), copies=3)
    assert bridge.told(key, "answered") == ("answered",)
    (call,) = sent(bridge)
    assert names(bridge, call) == [device]
    assert call["params"]["Asked by"] == "Ada Example"
    (comment,) = bridge.comments(key)
    assert comment["internal"] is internal
    text = comment["text"].replace("\\", "")  # wiki markup escapes what comes from outside
    for said in ("Accepted by the Engine", "engine-emea-", device, "Ada Example", "Repair Microsoft Office"):
        assert said in text
    assert bridge.story(key).run.id in text


def test_a_servicenow_incident_becomes_one_call_and_one_work_note(bridge, key, device):
    number = key.replace("SUP-", "INC00")
    scenario.servicenow_ticket(
        bridge.sandbox.servicenow_url,
        to_url=bridge.webhook_url("servicenow"),
        number=number,
        device=device,
        copies=3,
        wait=True,
    )
    bridge.told(number, "answered")
    (call,) = sent(bridge)
    assert (names(bridge, call), call["params"]["Mode"]) == ([device], "prompt")
    (note,) = [note for note in bridge.servicenow.comments() if number in str(note)]
    assert "Accepted by the Engine" in str(note)
    assert "work_notes" in str(note)


def test_a_servicenow_request_item_becomes_one_call_and_one_public_comment(bridge, key, device):
    number = key.replace("SUP-", "RITM00")
    scenario.servicenow_request_item(
        bridge.sandbox.servicenow_url,
        to_url=bridge.webhook_url("servicenow"),
        number=number,
        device=device,
        wait=True,
    )
    bridge.told(number, "answered")
    (call,) = sent(bridge)
    assert call["params"] == {"Package": "7zip", "Version": "24.09"}
    run = bridge.story(number).run.id
    (comment,) = [entry for entry in bridge.servicenow.comments() if f"bridge-{run}-" in str(entry)]
    assert "comments" in str(comment)


def test_the_bridges_own_comment_comes_back_as_a_webhook_and_starts_nothing(bridge, key, device):
    bridge.jira.register(url=bridge.webhook_url("jira"))
    bridge.ticket(key=key, devices=(device,))
    bridge.told(key, "answered")

    def echoes() -> list[Any]:
        lines = bridge.ledger.read(
            listing.page_of_deliveries, limit=10, wanted=listing.WantedDeliveries(ticket=key)
        ).deliveries
        return [line for line in lines if line.reason == Reason.OWN_CHANGE]

    bridge.soon(echoes)
    assert len(bridge.stories(key)) == 1
    assert len(sent(bridge)) == 1


def test_a_name_is_looked_up_on_every_engine_and_a_device_that_moved_is_one_device(bridge, key):
    bridge.ticket(key=key, devices=("WS-ABC-34567",))
    bridge.told(key, "answered")
    (call,) = sent(bridge)
    assert names(bridge, call) == ["WS-ABC-34567"]


@pytest.mark.parametrize(
    ("device", "reason", "said"),
    [
        ("WS-ABC-45678", Reason.SEVERAL_DEVICES, "WS-ABC-45678"),
        ("WS-ABC-99999", Reason.DEVICE_NOT_FOUND, "WS-ABC-99999"),
        ("WS-VIP-00001", Reason.DEVICE_REFUSED, "WS-VIP-00001"),
    ],
)
def test_a_device_that_cannot_be_acted_on_is_told_with_its_name(bridge, key, device, reason, said):
    bridge.ticket(key=key, devices=(device,))
    bridge.told(key, "refused")
    story = bridge.story(key)
    assert (story.run.state, story.run.reason) == (RunState.REFUSED, reason)
    (comment,) = bridge.comments(key)
    assert said in comment["text"]
    assert "Nothing was sent to Nexthink." in comment["text"]
    assert sent(bridge) == []


def test_a_ticket_that_names_no_device_is_told_which_field_is_the_matter(bridge, key):
    bridge.ticket(key=key, devices=())
    bridge.told(key, "refused")
    assert bridge.story(key).run.reason is Reason.NO_DEVICE
    (comment,) = bridge.comments(key)
    assert "Field: devices" in comment["text"]
    assert sent(bridge) == []


def test_what_nexthink_refuses_is_told_with_the_way_out(bridge, key, device):
    bridge.ticket(key=key, devices=(device,), labels=("inventory",))
    bridge.told(key, "refused")
    assert bridge.story(key).run.detail == "NO_MANUAL_EXECUTION"
    (comment,) = bridge.comments(key)
    assert "manual" in comment["text"]
    assert len(sent(bridge)) == 1


def test_an_announcement_says_what_would_run_and_sends_nothing(bridge, key, device):
    bridge.ticket(key=key, devices=(device,), labels=("announce",))
    bridge.told(key, "announced")
    (comment,) = bridge.comments(key)
    assert "Would run: Repair Microsoft Office" in comment["text"]
    assert comment["internal"] is True
    assert bridge.story(key).run.state is RunState.RECORDED
    assert sent(bridge) == []


def test_a_shadow_is_silent_and_recorded(bridge, key, device):
    bridge.ticket(key=key, devices=(device,), labels=("shadow",))
    bridge.soon(lambda: bridge.stories(key))
    story = bridge.story(key)
    assert (story.run.state, story.run.reason, story.comments) == (RunState.RECORDED, Reason.SHADOW, ())
    assert bridge.comments(key) == []
    assert sent(bridge) == []


def test_every_engine_code_is_told_in_words(bridge, key, device):
    bridge.nexthink.answer(code="not_connected", message="no link to 192.0.2.7:999")
    bridge.ticket(key=key, devices=(device,))
    bridge.told(key, "answered")
    (comment,) = bridge.comments(key)
    assert "Not accepted by the Engine" in comment["text"]
    assert "192.0.2.7" not in comment["text"]


def test_an_unknown_is_told_and_closed_by_a_persons_word_at_the_command_line(bridge, key, device):
    bridge.nexthink.fault("reset_after_read", path="/api/remoteaction/*")
    bridge.ticket(key=key, devices=(device,))
    bridge.told(key, "unknown")
    story = bridge.story(key)
    assert story.run.state is RunState.UNKNOWN
    assert "not known whether the action ran" in bridge.comments(key)[0]["text"]
    said = bridge.command("resolve", story.run.id, "--ran", "--reason", "seen in Nexthink", "--author", "Bo")
    assert said.returncode == 0, said.stderr
    bridge.told(key, "unknown", "resolved")
    assert bridge.story(key).run.state is RunState.ANSWERED
    assert [call.state for call in bridge.story(key).calls] == [CallState.UNKNOWN]
    texts = [comment["text"] for comment in bridge.comments(key)]
    assert len(texts) == 2
    assert "Bo says that the action ran" in texts[1]
    assert "seen in Nexthink" in texts[1]
    assert len(sent(bridge)) == 1
