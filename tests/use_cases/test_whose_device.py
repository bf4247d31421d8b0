"""Whose device: a run reaches the devices that the ticket's person used lately, and nobody else's."""

from datetime import timedelta

import pytest

from bridge.errors import Reason
from bridge.models import DeviceFence, DeviceKey, DeviceUser, EngineChoice, IfSeveral, RunState

ADA = DeviceUser(login="ada", domain="CORP", used_within=timedelta(days=7))
ONE, TWO = "engine-emea-1", "engine-emea-2"
YESTERDAY, LAST_MONTH = "2025-12-31T09:00:00", "2025-12-01T09:00:00"


@pytest.fixture
def sent(nexthink):
    """Return the devices and Engines of each request by name."""

    def look():
        world = nexthink.world()
        names = {each["uid"]: each["name"] for kind in ("devices", "engines") for each in world[kind]}
        return [
            ([names[uid] for uid in call["device_uids"]], [names[uid] for uid in call["engine_uids"]])
            for call in nexthink.calls()["calls"]
        ]

    return look


def ask(mine, **plan):
    """Ask for the devices of the ticket's person, and take the run as far as it goes."""
    given = {
        "devices": ("ada",),
        "by": DeviceKey.USER,
        "user": ADA,
        "engine_choice": EngineChoice.WHERE_FOUND,
    }
    run = mine.ask(**{**given, **plan})
    mine.work()
    return run


def outcome(mine, run):
    story = mine.story(run).run
    return story.state, story.reason


def test_the_device_of_the_person_is_found_by_their_account(house, nexthink, sent, jira):
    nexthink.log_on("ada@CORP", "WS-ABC-12345", engine=ONE, at=YESTERDAY)
    nexthink.log_on("bob@CORP", "WS-ABC-23456", engine=TWO, at=YESTERDAY)
    mine = house()
    run = ask(mine)
    assert mine.state(run) is RunState.ANSWERED
    assert sent() == [(["WS-ABC-12345"], [ONE])]
    mine.post()
    (comment,) = jira.comments()
    assert "Devices: WS-ABC-12345" in comment["text"]
    assert "Not found" not in comment["text"]


def test_a_device_that_was_used_too_long_ago_or_by_another_account_since_is_not_theirs(
    house, nexthink, sent, jira
):
    nexthink.log_on("ada@CORP", "WS-ABC-12345", engine=ONE, at=LAST_MONTH)
    nexthink.log_on("ada@CORP", "WS-ABC-23456", engine=TWO, at="2025-12-30T09:00:00")
    nexthink.log_on("bob@CORP", "WS-ABC-23456", engine=TWO, at=YESTERDAY)
    nexthink.log_on("ada@OTHER", "WS-VIP-00001", engine=ONE, at=YESTERDAY)
    mine = house()
    run = ask(mine)
    assert outcome(mine, run) == (RunState.REFUSED, Reason.DEVICE_NOT_FOUND)
    assert sent() == []
    mine.post()
    (comment,) = jira.comments()
    assert "No Engine knows a device that ada@CORP used within 7 days" in comment["text"]
    assert "bob" not in comment["text"]


def test_several_devices_of_one_person_stop_or_the_last_used_one_is_taken(house, nexthink, sent):
    nexthink.log_on("ada@CORP", "WS-ABC-12345", engine=ONE, at=YESTERDAY)
    nexthink.log_on("ada@CORP", "WS-ABC-23456", engine=TWO, at="2025-12-31T10:00:00")
    mine = house()
    assert outcome(mine, ask(mine)) == (RunState.REFUSED, Reason.SEVERAL_DEVICES)
    assert sent() == []
    assert mine.state(ask(mine, if_several=IfSeveral.MOST_RECENT)) is RunState.ANSWERED
    assert sent() == [(["WS-ABC-23456"], [TWO])]
    assert mine.state(ask(mine, if_several=IfSeveral.ALL)) is RunState.ANSWERED
    assert sent()[1:] == [(["WS-ABC-12345"], [ONE]), (["WS-ABC-23456"], [TWO])]


def test_the_fence_holds_for_devices_that_were_found_by_user(house, nexthink, sent):
    nexthink.log_on("ada@CORP", "WS-VIP-00001", engine=ONE, at=YESTERDAY)
    mine = house()
    run = ask(mine, fence=DeviceFence(never=("WS-VIP-.*",)))
    assert outcome(mine, run) == (RunState.REFUSED, Reason.DEVICE_REFUSED)
    assert sent() == []


def test_s10_an_engine_that_does_not_answer_means_that_nobody_knows_whose_device_it_is(house, nexthink, sent):
    nexthink.log_on("ada@CORP", "WS-ABC-12345", engine=ONE, at=YESTERDAY)
    nexthink.fault("status", status=503, path=f"/nxql/{TWO}/*")
    mine = house()
    run = ask(mine)
    assert (mine.state(run), sent()) == (RunState.QUEUED, [])
    mine.later(seconds=6)
    mine.work()
    assert mine.state(run) is RunState.ANSWERED


def test_a_named_device_of_the_ticket_must_be_one_of_the_persons(house, nexthink, sent, jira):
    nexthink.log_on("ada@CORP", "WS-ABC-12345", engine=ONE, at=YESTERDAY)
    nexthink.log_on("bob@CORP", "WS-ABC-23456", engine=TWO, at=YESTERDAY)
    mine = house()
    by_name = {"by": DeviceKey.NAME}
    own = ask(mine, devices=("WS-ABC-12345",), **by_name)
    assert mine.state(own) is RunState.ANSWERED
    other = ask(mine, devices=("WS-ABC-12345", "WS-ABC-23456"), **by_name)
    assert outcome(mine, other) == (RunState.REFUSED, Reason.NOT_THEIR_DEVICE)
    assert sent() == [(["WS-ABC-12345"], [ONE])]
    mine.post()
    text = jira.comments()[-1]["text"]
    assert "Not used by the ticket's person within 7 days: WS-ABC-23456" in text
    assert "bob" not in text


def test_a_uid_of_somebody_elses_device_is_refused_too(house, nexthink, sent):
    uids = {device["name"]: device["uid"] for device in nexthink.world()["devices"]}
    nexthink.log_on("bob@CORP", "WS-ABC-23456", engine=TWO, at=YESTERDAY)
    mine = house()
    run = ask(mine, devices=(uids["WS-ABC-23456"],), by=DeviceKey.UID)
    assert outcome(mine, run) == (RunState.REFUSED, Reason.NOT_THEIR_DEVICE)
    assert sent() == []


def test_a_ticket_that_does_not_say_who_the_person_is_reaches_no_device(house, sent):
    mine = house()
    nobody = DeviceUser(login=None, domain="CORP", used_within=timedelta(days=7))
    run = ask(mine, devices=("WS-ABC-12345",), by=DeviceKey.NAME, user=nobody)
    assert outcome(mine, run) == (RunState.REFUSED, Reason.NOT_THEIR_DEVICE)
    assert sent() == []


def test_a_portal_may_ask_in_its_own_words(house, nexthink, sent):
    nexthink.log_on("ada@CORP", "WS-ABC-12345", engine=ONE, at=YESTERDAY)
    mine = house(
        PORTALS__MAIN__NXQL_USER_QUERY="(select (last_logon_time device_uid last_logged_on_user name) "
        '(from device (where device (eq last_logged_on_user (string "{user}")))) (limit 100))',
        PORTALS__MAIN__NXQL_TIME_ZONE="Europe/Zurich",
    )
    assert mine.state(ask(mine)) is RunState.ANSWERED


def test_s10_an_answer_without_the_fields_that_are_set_is_no_answer(house, nexthink, sent):
    nexthink.log_on("ada@CORP", "WS-ABC-12345", engine=ONE, at=YESTERDAY)
    mine = house(PORTALS__MAIN__NXQL_USER_FIELDS="device_uid,name,user,last_use")
    assert outcome(mine, ask(mine)) == (RunState.QUEUED, Reason.ANSWER_UNREADABLE)
    assert sent() == []
