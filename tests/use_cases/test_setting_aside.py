"""What a run comes to that is not sent on: nothing is called unsent of which a part was sent."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bridge import mapping_files
from bridge.errors import NotPossible, Reason
from bridge.ledger.people import Act
from bridge.mapping import language
from bridge.mapping.language import MappingTexts
from bridge.mapping.reading import LoadContext
from bridge.models import (
    CallState,
    EngineChoice,
    MappingId,
    PauseScope,
    PortalName,
    RunState,
    SourceKind,
    SourceName,
)

RUN = "/api/remoteaction/*"
THREE = ("WS-LAB-00004", "WS-LAB-00005", "WS-LAB-00006")
ACT = Act(author="operator", reason="looked at the devices")
ROOT = Path(__file__).parents[2]


def sent(nexthink):
    return sorted(nexthink.calls()["by_request_uid"])


@pytest.fixture
def half_sent(house, nexthink):
    """A run of three parts: the first is answered, the second found the portal closed to us."""
    mine = house(PORTALS__MAIN__MAX_DEVICES_PER_CALL="1")
    run = mine.ask(devices=THREE)
    nexthink.fault("status", status=401, path=RUN, skip=1)
    mine.work()
    mine.work()
    assert mine.state(run) is RunState.HELD
    return mine, run


def test_s6_the_hold_of_a_run_of_which_a_part_was_sent_says_so(half_sent, jira):
    mine, _ = half_sent
    mine.post()
    (comment,) = jira.comments()
    assert comment["text"].startswith("Accepted in 2 of 2 Engine answers; a part of the request was refused")
    assert "Not sent to: WS-LAB-00006" in comment["text"]


def test_a_run_that_is_cancelled_after_a_part_was_sent_tells_what_came_of_that_part(
    half_sent, jira, nexthink
):
    mine, run = half_sent
    assert mine.operations.cancel(run, act=ACT) is RunState.ANSWERED
    mine.post()
    text = jira.comments()[-1]["text"]
    assert "Cancelled before it was sent" not in text
    assert "operator stopped the rest: looked at the devices" in text
    assert f"{run}-3-1" not in sent(nexthink)
    assert CallState.PLANNED not in {state for _, _, state in mine.calls(run)}


def test_a_run_that_becomes_too_old_after_a_part_was_sent_tells_what_came_of_that_part(half_sent, jira):
    mine, run = half_sent
    mine.later(hours=25)
    mine.operations.resume(PauseScope.PORTAL, "main", act=ACT)
    mine.work()
    assert mine.state(run) is RunState.ANSWERED
    mine.post()
    text = jira.comments()[-1]["text"]
    assert "Not sent: the request became too old" not in text
    assert "The rest was not sent" in text


@pytest.fixture
def unknown(house, nexthink):
    """A run whose action ran, and whose answer was lost."""
    mine = house()
    run = mine.ask(max_age=timedelta(hours=1))
    nexthink.fault("reset_after_read", path=RUN)
    mine.work()
    assert mine.state(run) is RunState.UNKNOWN
    return mine, run


def test_an_unknown_that_becomes_too_old_to_be_sent_again_stays_unknown_and_is_told(unknown, nexthink):
    mine, run = unknown
    mine.operations.resolve(run, ran=False, send_again=True, attempt=1, act=ACT)
    mine.later(hours=2)
    mine.work()
    assert mine.state(run) is RunState.UNKNOWN
    assert mine.calls(run) == [(1, 1, CallState.UNKNOWN), (1, 2, CallState.DROPPED)]
    assert mine.occasions(run) == ["unknown", "resolved", "unknown"]
    assert sent(nexthink) == [f"{run}-1-1"]


def test_an_unknown_that_is_too_old_is_not_sent_again(unknown):
    mine, run = unknown
    mine.later(hours=2)
    with pytest.raises(NotPossible, match="older than its mapping allows"):
        mine.operations.resolve(run, ran=False, send_again=True, attempt=1, act=ACT)


def test_s9_to_send_again_a_person_says_which_attempt_they_saw(unknown):
    mine, run = unknown
    with pytest.raises(NotPossible, match="say which attempt you looked at"):
        mine.operations.resolve(run, ran=False, send_again=True, attempt=None, act=ACT)


# ── what was accepted may only get narrower ──────────────────────────────────────────────────────────────


def loaded(change):
    """Load the shipped mappings after `change` was made to the texts of catalogue and mappings."""
    texts = mapping_files.read(ROOT / "mappings", ROOT / "mappings" / "actions.yaml").texts
    catalogue = (texts.catalogue[0], change(texts.catalogue[1]))
    mappings = tuple((name, change(text)) for name, text in texts.mappings)
    context = LoadContext(
        sources={SourceName("jira"): SourceKind.JIRA, SourceName("servicenow"): SourceKind.SERVICENOW},
        portals=(PortalName("main"),),
        max_devices=25,
    )
    return language.load(MappingTexts(catalogue=catalogue, mappings=mappings), context)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text, None),
        (lambda text: text.replace("mode: live", "mode: shadow"), "is not live any more"),
        (lambda text: text.replace("office-repair-when-approved", "another"), "is not live any more"),
        (
            lambda text: text.replace(
                "07844969-1889-4de3-9026-020af94be855", "0" * 8 + "-0000" * 3 + "-" + "0" * 12
            ),
            "not in the catalogue any more as it was",
        ),
        (lambda text: text.replace("WS-VIP-", "WS-ABC-"), "never for devices that match"),
        (lambda text: text.replace("    repeatable: false", "    approval: required"), "needs approval now"),
    ],
)
def test_a_run_that_waits_is_held_against_the_rules_of_this_moment(house, nexthink, change, said):
    mine = house()
    run = mine.ask(mapping=MappingId("office-repair-when-approved"), engine_choice=EngineChoice.WHERE_FOUND)
    mine.mapping_set = replace(loaded(change), hash="1" * 64)
    mine.work()
    if said is None:
        assert mine.state(run) is RunState.ANSWERED
        return
    story = mine.story(run).run
    assert (story.state, story.reason) == (RunState.REFUSED, Reason.WITHDRAWN)
    assert said in story.detail
    assert sent(nexthink) == []


SHADOW = ("mode: live", "mode: shadow", "is not live any more")
FENCED = ("WS-VIP-", "WS-ABC-", "never for devices that match")


@pytest.fixture
def missed(house, nexthink):
    """An answered run of a shipped mapping that one of its two Engines missed."""
    mine = house()
    nexthink.answer(engine="engine-emea-2", code="not_connected", times=1)
    run = mine.ask(
        mapping=MappingId("office-repair-when-approved"),
        devices=("WS-ABC-34567",),
        engine_choice=EngineChoice.WHERE_FOUND,
    )
    mine.work()
    assert mine.state(run) is RunState.ANSWERED
    return mine, run


@pytest.mark.parametrize(("before", "after", "said"), [SHADOW, FENCED])
def test_nobody_sends_again_what_the_rules_of_this_moment_forbid(missed, nexthink, before, after, said):
    mine, run = missed
    mine.mapping_set = replace(loaded(lambda text: text.replace(before, after)), hash="1" * 64)
    with pytest.raises(NotPossible, match=f"the rules do not allow it any more: .*{said}"):
        mine.operations.send_again(run, attempt=1, act=ACT)
    assert mine.calls(run) == [(1, 1, CallState.ANSWERED)]
    assert mine.occasions(run) == ["answered"]
    mine.mapping_set = replace(loaded(lambda text: text), hash="1" * 64)
    mine.operations.send_again(run, attempt=1, act=ACT)
    mine.work()
    assert sent(nexthink) == [f"{run}-1-1", f"{run}-1-2"]


def test_nobody_replays_what_the_rules_of_this_moment_forbid(missed, nexthink):
    mine, run = missed
    before, after, said = SHADOW
    mine.mapping_set = replace(loaded(lambda text: text.replace(before, after)), hash="1" * 64)
    with pytest.raises(NotPossible, match=f"the rules do not allow it any more: .*{said}"):
        mine.operations.replay(run, act=ACT)
    assert [line.event for line in mine.story(run).history][-1] != "replayed"
    mine.mapping_set = replace(loaded(lambda text: text), hash="1" * 64)
    again = mine.operations.replay(run, act=ACT)
    mine.work()
    assert sent(nexthink) == [f"{run}-1-1", f"{again}-1-1"]


def test_a_replay_is_held_against_the_fence_of_this_moment_when_its_devices_are_known(missed, nexthink):
    mine, run = missed
    before, after, said = FENCED
    mine.mapping_set = replace(loaded(lambda text: text.replace(before, after)), hash="1" * 64)
    again = mine.operations.replay(run, act=ACT)
    mine.work()
    story = mine.story(again).run
    assert (story.state, story.reason) == (RunState.REFUSED, Reason.WITHDRAWN)
    assert said in story.detail
    assert sent(nexthink) == [f"{run}-1-1"]


def test_l1_a_limit_that_is_set_while_a_run_waits_holds_for_it(house, nexthink):
    mine = house()
    shipped = {
        "mapping": MappingId("office-repair-when-approved"),
        "engine_choice": EngineChoice.WHERE_FOUND,
    }
    first, second = mine.ask(**shipped), mine.ask(**shipped)
    tighter = loaded(lambda text: text.replace("      max_age: 30m", "      max_age: 30m\n      per_hour: 1"))
    mine.mapping_set = replace(tighter, hash="1" * 64)
    mine.work()
    assert mine.state(first) is RunState.ANSWERED
    story = mine.story(second).run
    assert (story.state, story.reason, story.detail) == (RunState.HELD, Reason.OVER_LIMIT, "per_hour")
    assert len(sent(nexthink)) == 1
