"""The overview says what needs a person first, draws what it counted, and agrees with health."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bridge.charting import Last
from bridge.errors import Reason
from bridge.ledger.onlooking import Pressing, PressingRun
from bridge.ledger.traffic import Step, Traffic
from bridge.models import CallResult, CallState, RunId, RunState
from bridge.web import diagnosis
from bridge.web.console import charts
from bridge.web.console.concerns import concerns
from bridge.web.diagnosis import Check, Health

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


def traffic(*runs: dict[str, int]) -> Traffic:
    hour = timedelta(hours=1)
    steps = tuple(
        Step(since=NOW + hour * number, until=NOW + hour * (number + 1), deliveries={}, runs=each)
        for number, each in enumerate(runs)
    )
    return Traffic(steps=steps, at=NOW, whole_at=NOW)


def test_a_column_is_as_high_as_its_share_and_its_parts_lie_on_one_another() -> None:
    drawn = charts.of_runs(traffic({"answered": 30, "refused": 10}, {"answered": 20}), Last.DAY)
    assert [(bar.tone, bar.y, bar.height) for bar in drawn.bars] == [
        ("good", 25, 75),
        ("bad", 0, 25),
        ("good", 50, 50),
    ]
    assert drawn.bars[2].x > drawn.bars[0].x + drawn.bars[0].width
    assert (drawn.total, drawn.highest) == (60, 40)


def test_one_unknown_run_among_thousands_is_seen_and_no_column_is_too_high() -> None:
    drawn = charts.of_runs(traffic({"answered": 9_999, "unknown": 1}), Last.DAY)
    heights = {bar.tone: bar.height for bar in drawn.bars}
    assert heights == {"good": 98, "warning": 2}
    assert min(bar.y for bar in drawn.bars) == 0


def test_every_state_is_drawn_and_stands_in_the_table() -> None:
    drawn = charts.of_runs(traffic(dict.fromkeys(RunState, 1)), Last.DAY)
    assert sum(number for _, number in drawn.legend) == len(RunState)
    assert set(drawn.labels) == set(RunState)
    assert drawn.rows[0].numbers == (1,) * len(RunState)


def test_nothing_at_all_is_drawn_as_nothing() -> None:
    drawn = charts.of_runs(traffic({}, {}), Last.HOUR)
    assert (drawn.bars, drawn.total, drawn.labels) == ((), 0, ())
    assert drawn.ticks == ("12:00", "13:00", "now")


def check(name: str, **given: Any) -> Check:
    return Check(**{"name": name, "status": Health.WARN, "value": 1, **given})


def test_what_keeps_webhooks_out_stands_first_and_what_passes_nowhere() -> None:
    found = concerns(
        (
            check("sources:silence", component="jira"),
            check("runs:unknown", value=2),
            check("queue:runs", status=Health.PASS),
            check("ledger:commit_age", status=Health.FAIL, value=None),
        ),
        {},
    )
    assert [each.text for each in found] == [
        "The ledger does not commit: webhooks are refused",
        "2 runs are unknown: sent, and what came of it is not known",
        "Source jira is silent for longer than usual",
    ]


def test_a_finding_without_words_of_its_own_is_shown_as_it_is() -> None:
    (found,) = concerns((check("disk:free", value=3, unit="MB", component="sda", output="mend it"),), {})
    assert (found.text, found.advice) == ("disk:free sda 3 MB", "mend it")


def test_what_is_held_is_said_by_its_reasons_and_names_who_waits_for_approval() -> None:
    waiting = PressingRun(id=RunId("r1"), ticket_key="SUP-1")
    found = concerns(
        (
            check("runs:held", value=3),
            check("runs:held_for", value=2, component=Reason.AWAITING_APPROVAL),
            check("runs:held_for", component=Reason.RESTORED),
        ),
        {Pressing.AWAITING_APPROVAL: (waiting,)},
    )
    assert [each.text.split(":")[0] for each in found] == [
        "2 runs are held for approval",
        "1 run is held because the ledger looks restored",
    ]
    assert [each.runs for each in found] == [(waiting,), ()]
    assert {each.page.given["state"] for each in found if each.page} == {"held"}


@pytest.mark.parametrize("last", Last)
def test_the_numbers_are_those_of_the_ledger_and_lead_to_their_lists(
    web: Any, sender: Any, last: Last
) -> None:
    ticket, body = sender.created()
    web.post(body)
    counted = f"Runs of the last {last}, by what they are now: {len(web.runs())}"
    # The count before may stand for a while, if it took long.
    web.soon(lambda: counted in web.get(f"/?last={last}").text)
    text = web.get(f"/?last={last}").text
    links = [part.split('"')[0] for part in text.split('href="')[1:]]
    newest = next(link for link in links if link.startswith("/runs?to="))
    assert ticket in web.get(newest.replace("&amp;", "&")).text


def test_the_overview_says_what_health_says(web: Any, sender: Any, work: Any) -> None:
    web.post(sender.created()[1])
    work(web.ledger, CallResult(state=CallState.UNKNOWN), RunState.UNKNOWN)
    web.soon(lambda: dict(web.process.vitals.snapshot().figures.runs)[RunState.UNKNOWN] > 0)
    wanting = [
        each
        for each in diagnosis.diagnose(web.process.vitals.snapshot(), commit_age=1.0, has_mapping_set=True)
        if each.status is not Health.PASS and each.name != "pauses"
    ]
    text = web.get("/").text
    said = concerns(wanting, {})
    assert any(each.text.startswith("1 run is unknown") for each in said)
    for each in said:
        assert each.text.replace("'", "&#39;") in text
    unknown = next(run for run in web.runs() if run.state == RunState.UNKNOWN)
    assert f'href="/runs/{unknown.id}"' in text


def test_who_takes_part_is_shown_with_how_they_do(web: Any, sender: Any, work: Any) -> None:
    web.post(sender.created()[1])
    work(web.ledger)
    web.post(b"{}", path="/webhooks/jira", **{"X-Hub-Signature": "sha256=0"})
    web.soon(lambda: any(each.name == "jira" for each in web.process.vitals.snapshot().figures.refused))
    text = web.get("/").text
    for word in (
        "main",
        "servicenow",
        "engine-paris",
        "not connected",
        "host.example.com",
        "1 bad signature",
    ):
        assert word in text, word
