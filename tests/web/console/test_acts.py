"""What a person does at the console: seen before, done once, under their name, on either database."""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page
from sqlalchemy import select
from werkzeug.test import TestResponse

from bridge.errors import Reason
from bridge.ledger import accepting, in_force, pausing, queries, sessions, starting
from bridge.ledger.pseudonyms import digest_of, salt_of
from bridge.ledger.queries import RunStory
from bridge.ledger.tables import audit
from bridge.models import (
    ApprovalRule,
    CallResult,
    CallState,
    Delivery,
    DeliveryId,
    Device,
    DeviceKey,
    DeviceUid,
    MappingId,
    Mode,
    Part,
    PauseScope,
    Person,
    Plan,
    Run,
    RunId,
    RunState,
    SourceName,
    TicketRef,
)
from bridge.passwords import Passwords
from bridge.sandbox import credentials as known
from bridge.sandbox.client import TicketControl
from bridge.sandbox.running import Sandbox
from bridge.sandbox.scenario import REQUESTER, jira_fields

PASSWORD = "correct horse battery"
PROXY_SECRET = "proxy-secret-of-more-than-32-characters"
NUMBERS = count(1)
TEAMS_CACHE = {
    "customfield_10050": {"value": "Clear Teams cache"},
    "customfield_10051": "WS-ABC-12345",
}
WHY = "asked for by the desk"
LOST = CallResult(state=CallState.UNKNOWN, status=None, outcomes=())
DEVICE = Device(uid=DeviceUid("d" * 32), name="WS-ABC-12345")
PEOPLE = """
version: 1
people:
  ada: {roles: [operator], identities: {jira: 5b10ac8d82e05b22cc7d4e02}}
  grace: {roles: [approver], identities: {jira: 5b10ac8d82e05b22cc7d4e03}, password: 'HASH'}
  asker: {roles: [approver], identities: {jira: REQUESTER}}
  linus: {roles: [approver]}
  vera: {roles: [viewer]}
"""


class Fields(HTMLParser):
    """The fields of the form that acts, with what stands in them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.values: dict[str, str] = {}
        self.inside = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.inside = given.get("class") == "act" if tag == "form" else self.inside
        name = given.get("name")
        if self.inside and tag == "input" and name and given.get("type") != "radio":
            self.values[name] = given.get("value") or ""

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag != "form"


def text_of(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


@dataclass
class Site:
    """A console that is on, and who sits before it."""

    web: Any
    make_plan: Callable[..., Plan]
    work: Callable[..., Any]
    hold: Callable[..., Any]
    claim: Callable[..., Run]

    def person(self, name: str) -> "Seat":
        return Seat(self.web.app.test_client(), name)

    def story(self, run: str) -> RunStory:
        found: RunStory = self.web.ledger.read(queries.run_story, run=RunId(run))
        return found

    def audited(self, about: str, event: str, by: str) -> int:
        """Return how often somebody did something, as the audit has it."""
        with self.web.ledger.engine.connect() as connection:
            who = digest_of(salt_of(connection, datetime.now(UTC)), by)
            query = select(audit.c.id).where(
                audit.c.about == about, audit.c.event == event, audit.c.by == who
            )
            return len(connection.execute(query).all())

    def ask(self, **plan: Any) -> RunId:
        """Accept a delivery that asks for one run."""
        number = next(NUMBERS)
        ticket = TicketRef(source=SourceName("jira"), uid=str(number), key=f"SUP-{number}")
        given = {"ticket": ticket, "devices": ("WS-ABC-12345",), "by": DeviceKey.NAME, **plan}
        wanted = self.make_plan(**{"occurred_at": datetime.now(UTC), **given})
        new = starting.NewRun(
            id=RunId(f"r{number}"),
            mapping=MappingId(wanted.mapping),
            mode=Mode.LIVE,
            key=f"changelog:{number}",
            ticket=wanted.ticket,
            state=RunState.QUEUED,
            reason=None,
            detail=None,
            plan=wanted,
            comment=None,
        )
        verdict = accepting.Verdict(
            reason=None, detail=None, ticket=new.ticket, findings=[], mapping_set="0" * 64, runs=(new,)
        )
        delivery = Delivery(
            source=SourceName("jira"),
            key=f"identifier-{number}",
            digest=f"{number:064}",
            timed=True,
            payload={},
            received_at=datetime.now(UTC),
        )
        self.web.ledger.write(
            accepting.accept, delivery_id=DeliveryId(f"d{number}"), delivery=delivery, verdict=verdict
        )
        return new.id

    # ── runs in each state ──

    def queued(self) -> RunId:
        return self.ask()

    def over_limit(self, **plan: Any) -> RunId:
        run = self.ask(**plan)
        self.hold(self.web.ledger, Reason.OVER_LIMIT, "per_hour")
        return run

    def paused(self) -> RunId:
        act = {"scope": PauseScope.ACTION, "value": "repair-office", "reason": Reason.BY_OPERATOR}
        self.web.ledger.write(pausing.pause, author="somebody", detail="broken", **act)
        run = self.ask()
        self.hold(self.web.ledger, Reason.PAUSED, "action repair-office")
        return run

    def restored(self) -> RunId:
        run = self.ask()
        self.hold(self.web.ledger, Reason.RESTORED, None)
        return run

    def unknown(self) -> RunId:
        run = self.ask()
        self.work(self.web.ledger, LOST, RunState.UNKNOWN)
        return run

    def answered(self) -> RunId:
        """Return a run that one Engine missed, of a mapping in force: rules of now are asked again."""
        self.web.post(self.web.sender.created(**TEAMS_CACHE)[1])
        run: Run = self.work(self.web.ledger)
        return run.id

    def asked(self, ticket: TicketRef) -> RunId:
        """Return a run of a ticket that waits for approval."""
        requester = Person(id=str(REQUESTER["accountId"]))
        rule = ApprovalRule(above=0, expires=timedelta(hours=4))
        run = self.ask(approval=rule, requesters=(requester,), ticket=ticket)
        part = Part(number=1, devices=(DEVICE,), engines=None)
        self.web.process.bridge.aside.ask(self.claim(self.web.ledger), (part,))
        return run


@dataclass
class Seat:
    """A browser whose proxy names a person."""

    client: Any
    name: str

    def get(self, path: str) -> TestResponse:
        answer: TestResponse = self.client.get(path, headers=self.headers)
        return answer

    def post(self, path: str, data: dict[str, str]) -> TestResponse:
        answer: TestResponse = self.client.post(path, headers=self.headers, data=data)
        return answer

    def form(self, path: str) -> dict[str, str]:
        """Return what the form of a page carries."""
        page = self.get(path)
        assert page.status_code == 200, text_of(page.text)
        return Fields(page.text).values

    def act(self, path: str, **filled: str) -> TestResponse:
        """Look at a page, fill its form in and send it."""
        return self.post(path, {**self.form(path), "reason": WHY, **filled})

    def once_more(self) -> "Seat":
        """Return the same browser for another thread."""
        other = Seat(self.client.__class__(self.client.application), self.name)
        for cookie in self.client._cookies.values():
            other.client.set_cookie(cookie.key, cookie.value)
        return other

    @property
    def headers(self) -> dict[str, str]:
        return {"X-Bridge-Proxy-Secret": PROXY_SECRET, "X-Remote-User": self.name}


@pytest.fixture(scope="module")
def hashed() -> str:
    return Passwords().hashed(PASSWORD)


@pytest.fixture
def environ_on(tmp_path: Path, hashed: str) -> dict[str, str]:
    people = tmp_path / "people.yaml"
    people.write_text(PEOPLE.replace("REQUESTER", str(REQUESTER["accountId"])).replace("HASH", hashed))
    return {
        "BRIDGE_CONSOLE": "on",
        "BRIDGE_CONSOLE_PEOPLE": str(people),
        "BRIDGE_CONSOLE_SECRET": "console-secret-of-more-than-32-characters",
        "BRIDGE_CONSOLE_SIGN_IN": "proxy,password",
        "BRIDGE_CONSOLE_PROXY_PEERS": "127.0.0.1",
        "BRIDGE_CONSOLE_PROXY_SECRET": PROXY_SECRET,
    }


@pytest.fixture
def site(
    opened: Callable[..., Any],
    environ_on: dict[str, str],
    tmp_path: Path,
    database_url: str,
    make_plan: Callable[..., Plan],
    work: Callable[..., Any],
    hold: Callable[..., Any],
    claim: Callable[..., Run],
) -> Iterator[Site]:
    with opened(tmp_path, database_url, **environ_on) as web:
        yield Site(web=web, make_plan=make_plan, work=work, hold=hold, claim=claim)


# ── one run ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("made", "word", "filled", "state", "occasion"),
    [
        ("queued", "cancel", {}, RunState.CANCELLED, "cancelled"),
        ("over_limit", "cancel", {}, RunState.CANCELLED, "cancelled"),
        ("over_limit", "release", {"number": "1"}, RunState.QUEUED, None),
        ("restored", "release", {"number": "1"}, RunState.QUEUED, None),
        ("unknown", "resolve", {"way": "ran"}, RunState.ANSWERED, "resolved"),
        ("unknown", "resolve", {"way": "not-ran"}, RunState.REFUSED, "resolved"),
        ("unknown", "resolve", {"way": "send-again", "number": "1"}, RunState.QUEUED, "resolved"),
        ("answered", "send-again", {"number": "1"}, RunState.QUEUED, "again"),
    ],
)
def test_an_act_is_shown_before_and_done_once_under_the_visitors_name(
    site: Site, made: str, word: str, filled: dict[str, str], state: RunState, occasion: str | None
) -> None:
    run, ada = getattr(site, made)(), site.person("ada")
    path, before = f"/runs/{run}/{word}", len(site.story(run).comments)
    shown = text_of(ada.get(path).text)
    for text in (site.story(run).run.ticket.key, site.story(run).run.plan.title, str(state)):
        assert text in shown, text
    form = {**ada.form(path), "reason": WHY, **filled}
    done = ada.post(path, form)
    assert (done.status_code, done.headers["Location"]) == (303, f"/runs/{run}"), text_of(done.text)
    story = site.story(run)
    assert story.run.state is state
    assert (story.history[-1].event, story.history[-1].by, story.history[-1].detail) == (state, "ada", WHY)
    assert site.audited(run, state, "ada") == 1
    told = [comment.owed.occasion for comment in story.comments[before:]]
    assert told == ([] if occasion is None else [occasion])
    assert 'role="status"' in ada.get(f"/runs/{run}").text
    # A double click, or the back button and the same form once more.
    assert ada.post(path, form).status_code == 409
    assert len(site.story(run).comments) == len(story.comments)
    assert site.audited(run, state, "ada") == 1


@pytest.mark.parametrize(
    ("made", "word", "filled"),
    [
        ("queued", "cancel", {}),
        ("over_limit", "release", {"number": "1"}),
        ("unknown", "resolve", {"way": "send-again", "number": "1"}),
        ("answered", "send-again", {"number": "1"}),
        ("answered", "replay", {"number": "1"}),
    ],
)
def test_s9_who_sends_a_form_twice_at_once_does_it_once(
    site: Site, made: str, word: str, filled: dict[str, str]
) -> None:
    run, ada = getattr(site, made)(), site.person("ada")
    before, path = site.story(run), f"/runs/{run}/{word}"
    form = {**ada.form(path), "reason": WHY, **filled}
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda seat: seat.post(path, form).status_code, (ada, ada.once_more())))
    assert sorted(answers) == [303, 409]
    story = site.story(run)
    assert len(story.history) == len(before.history) + 1
    assert len(story.comments) <= len(before.comments) + 1


def test_s9_two_who_pause_at_once_pause_once(site: Site) -> None:
    ada = site.person("ada")
    form = {**ada.form("/pauses"), "what": "portal:main", "lasting": "2h", "reason": WHY}
    seats = [ada.once_more() for _ in range(4)]
    with ThreadPoolExecutor(len(seats)) as pool:
        answers = list(pool.map(lambda seat: seat.post("/pauses", form).status_code, seats))
    assert sorted(answers) == [303, 409, 409, 409]
    (made,) = site.web.ledger.read(pausing.standing)
    assert made.detail == WHY
    assert site.audited("portal:main", "paused", "ada") == 1


def test_a_replay_is_shown_before_and_made_once(site: Site) -> None:
    run, ada = site.answered(), site.person("ada")
    shown = text_of(ada.get(f"/runs/{run}/replay").text)
    assert "Accepted already by engine-paris: a replay is a second time there." in shown
    form = {**ada.form(f"/runs/{run}/replay"), "reason": WHY, "number": "1"}
    assert ada.post(f"/runs/{run}/replay", form).status_code == 303
    (line,) = (line for line in site.story(run).history if line.event == "replayed")
    new = str(line.detail).split()[1].rstrip(":")
    assert (line.by, site.story(new).run.replay_of) == ("ada", run)
    assert site.audited(run, "replayed", "ada") == 1
    again = ada.post(f"/runs/{run}/replay", form)
    assert again.status_code == 409
    assert f"was replayed as {new}" in again.text


@pytest.mark.parametrize(
    ("made", "word", "filled", "told"),
    [
        ("over_limit", "release", {"reason": " ", "number": "1"}, "Say why: somebody will ask."),
        ("over_limit", "release", {"reason": "x" * 1_001, "number": "1"}, "at most 1000 characters"),
        ("over_limit", "release", {"reason": "a\u202eb", "number": "1"}, "in one line"),
        ("over_limit", "release", {}, "It comes to 1: look at the devices once more"),
        ("over_limit", "release", {"number": "2"}, "It comes to 1"),
        ("unknown", "resolve", {}, "Choose what is to be done."),
        ("unknown", "resolve", {"way": "drop"}, "Choose what is to be done."),
        ("unknown", "resolve", {"way": "send-again"}, "It comes to 1"),
    ],
)
def test_what_is_not_filled_in_is_told_beside_its_field_and_nothing_is_done(
    site: Site, made: str, word: str, filled: dict[str, str], told: str
) -> None:
    run, ada = getattr(site, made)(), site.person("ada")
    before = site.story(run)
    answer = ada.act(f"/runs/{run}/{word}", **filled)
    assert answer.status_code == 422
    assert told in answer.text
    if filled.get("reason", WHY).isprintable():
        assert Fields(answer.text).values["reason"] == filled.get("reason", WHY).strip()
    assert site.story(run) == before


def test_s9_who_saw_another_state_is_told_and_keeps_what_they_wrote(site: Site) -> None:
    run, ada = site.queued(), site.person("ada")
    form = {**ada.form(f"/runs/{run}/cancel"), "reason": WHY}
    site.web.ledger.write(sessions.hold_everything)
    answer = ada.post(f"/runs/{run}/cancel", form)
    assert answer.status_code == 409
    assert "is held (restored) by now, not queued (look again, then decide)" in answer.text
    assert site.story(run).run.state is RunState.HELD
    kept = Fields(answer.text).values
    assert (kept["reason"], kept["seen"]) == (WHY, "held restored 0")
    assert ada.post(f"/runs/{run}/cancel", kept).status_code == 303


def test_s9_a_form_that_does_not_say_what_was_seen_is_refused(site: Site) -> None:
    run, ada = site.queued(), site.person("ada")
    for seen in ("", "queued", "queued - x", "nothing - 0", "queued nothing 0"):
        form = {**ada.form(f"/runs/{run}/cancel"), "reason": WHY, "seen": seen}
        assert ada.post(f"/runs/{run}/cancel", form).status_code == 400
    assert site.story(run).run.state is RunState.QUEUED


@pytest.mark.parametrize("word", ["approve", "release", "resolve", "send-again", "replay"])
def test_an_act_that_does_not_fit_is_not_offered_and_says_why(site: Site, word: str) -> None:
    run = site.queued()
    seat = site.person("grace" if word == "approve" else "ada")
    answer = seat.get(f"/runs/{run}/{word}")
    assert answer.status_code == 409
    assert 'role="alert"' in answer.text
    assert '<form class="act"' not in answer.text
    assert f"/runs/{run}/{word}" not in seat.get(f"/runs/{run}").text


def test_a_run_offers_what_fits_it_to_who_may(site: Site) -> None:
    run = site.over_limit()
    shown = site.person("ada").get(f"/runs/{run}").text
    assert set(re.findall(rf"/runs/{run}/([a-z-]+)", shown)) == {"release", "cancel"}
    assert f"/runs/{run}/" not in site.person("vera").get(f"/runs/{run}").text


@pytest.mark.parametrize("name", ["vera", "grace"])
def test_who_may_not_act_does_not(site: Site, name: str) -> None:
    run, seat = site.queued(), site.person(name)
    form = {**site.person("ada").form(f"/runs/{run}/cancel"), "reason": WHY}
    assert seat.get(f"/runs/{run}/cancel").status_code == 403
    assert seat.post(f"/runs/{run}/cancel", form).status_code == 403
    assert seat.get("/pauses").status_code == 200
    assert seat.get("/pauses/resume?scope=everything").status_code == 403
    assert seat.post("/pauses", {"what": "everything:", "reason": WHY}).status_code == 403
    assert site.story(run).run.state is RunState.QUEUED
    assert site.web.ledger.read(pausing.standing) == ()


def test_without_the_token_of_the_form_nothing_is_done(site: Site) -> None:
    run, ada = site.queued(), site.person("ada")
    form = {**ada.form(f"/runs/{run}/cancel"), "reason": WHY, "csrf_token": ""}
    assert ada.post(f"/runs/{run}/cancel", form).status_code == 400
    assert ada.post("/pauses", {"what": "everything:", "reason": WHY}).status_code == 400
    assert site.story(run).run.state is RunState.QUEUED
    assert site.web.ledger.read(pausing.standing) == ()


def test_asking_for_the_head_of_a_page_does_nothing_whatever_comes_with_it(site: Site) -> None:
    site.paused()
    run, ada = site.queued(), site.person("ada")
    for path in (f"/runs/{run}/cancel", "/pauses", "/pauses/resume", "/pauses/restored"):
        form = {**ada.form(f"/runs/{run}/cancel"), "reason": WHY, "what": "everything:"}
        ada.client.head(path, headers=ada.headers, data=form)
    assert site.story(run).run.state is RunState.QUEUED
    assert site.audited(run, "cancelled", "ada") == 0


def test_what_a_ticket_says_is_inert(site: Site) -> None:
    ticket = TicketRef(source=SourceName("jira"), uid="9", key="SUP-9", url="javascript:alert(1)")
    run = site.ask(ticket=ticket, devices=("<script>alert(1)</script>",), title="<b>Repair</b>")
    page = site.person("ada").get(f"/runs/{run}/cancel").text
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page
    assert "javascript:" not in page
    assert "<b>Repair" not in page


def test_at_an_open_console_nobody_is_known_and_nobody_approves(
    web: Any, make_plan: Callable[..., Plan], work: Any, hold: Any, claim: Any
) -> None:
    site = Site(web=web, make_plan=make_plan, work=work, hold=hold, claim=claim)
    run = site.asked(TicketRef(source=SourceName("jira"), uid="77", key="SUP-77"))
    page = web.get(f"/runs/{run}/approve").text
    assert "At an open console nobody signs in" in page
    assert '<form class="act"' not in page


# ── pauses ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("filled", "scope", "value", "lasting"),
    [
        ({"what": "everything:"}, PauseScope.EVERYTHING, "", None),
        ({"what": "portal:main", "lasting": "2h"}, PauseScope.PORTAL, "main", timedelta(hours=2)),
        ({"what": "source:jira"}, PauseScope.SOURCE, "jira", None),
        ({"what": "engine:", "name": "engine-paris"}, PauseScope.ENGINE, "engine-paris", None),
        ({"what": "devices:", "name": "WS-PAR-.*"}, PauseScope.DEVICES, "WS-PAR-.*", None),
        ({"what": "action:clear-teams-cache"}, PauseScope.ACTION, "clear-teams-cache", None),
    ],
)
def test_what_is_chosen_is_paused_and_resumed_under_the_visitors_name(
    site: Site, filled: dict[str, str], scope: PauseScope, value: str, lasting: timedelta | None
) -> None:
    ada = site.person("ada")
    form = {**ada.form("/pauses"), "reason": WHY, **filled}
    assert ada.post("/pauses", form).status_code == 303
    (made,) = site.web.ledger.read(pausing.standing)
    assert (made.scope, made.value, made.author, made.detail) == (scope, value, "ada", WHY)
    assert (made.expires_at and made.expires_at - made.at) == lasting
    assert site.audited(f"{scope}:{value}", "paused", "ada") == 1
    page = ada.get("/pauses")
    assert "is paused. What is under way already is not called back." in page.text
    assert "What waits meanwhile expires when it is too old: of " in page.text
    # A double click: nothing is prolonged by the moment that lies between.
    again = ada.post("/pauses", form)
    assert again.status_code == 409
    assert "is paused already" in again.text
    assert site.web.ledger.read(pausing.standing) == (made,)
    link = re.search(r'href="(/pauses/resume[^"]+)"', ada.get("/pauses").text)
    assert link is not None
    path = link[1].replace("&amp;", "&")
    assert ada.act(path).headers["Location"] == "/pauses"
    assert site.web.ledger.read(pausing.standing) == ()
    assert site.audited(f"{scope}:{value}", "resumed", "ada") == 1
    assert ada.get(path).status_code == 409


@pytest.mark.parametrize(
    ("filled", "status", "told"),
    [
        ({}, 422, "Choose what is paused."),
        ({"what": "nothing:"}, 422, "Choose what is paused."),
        ({"what": "portal:main", "lasting": "soon"}, 422, "Write it as 30m, 2h or 7d."),
        ({"what": "portal:main", "lasting": "400d"}, 422, "At most 365d."),
        ({"what": "portal:", "name": "mian"}, 409, "did you mean &#39;main&#39;"),
        ({"what": "devices:", "name": "WS-("}, 409, "is no pattern of device names"),
        ({"what": "portal:main", "reason": ""}, 422, "Say why"),
    ],
)
def test_a_mistake_in_what_is_paused_is_told_and_pauses_nothing(
    site: Site, filled: dict[str, str], status: int, told: str
) -> None:
    answer = site.person("ada").act("/pauses", **filled)
    assert answer.status_code == status
    assert told in answer.text
    assert site.web.ledger.read(pausing.standing) == ()


def test_resuming_says_what_it_lets_go_and_queues_it(site: Site) -> None:
    run, ada = site.paused(), site.person("ada")
    path = "/pauses/resume?scope=action&value=repair-office"
    assert "1 run, 1 ticket, 1 device" in text_of(ada.get(path).text)
    assert "1 run" in text_of(ada.get("/pauses").text)
    assert f'href="{path.replace("&", "&amp;")}"' in ada.get(f"/runs/{run}").text
    assert ada.act(path).status_code == 422
    done = ada.act(path, number="1")
    assert done.status_code == 303
    assert "action repair-office is open again, runs queued: 1." in ada.get("/pauses").text
    line = site.story(run).history[-1]
    assert (site.story(run).run.state, line.by, line.detail) == (RunState.QUEUED, "ada", WHY)
    assert site.audited(run, RunState.QUEUED, "ada") == 1


def test_s9_a_pause_that_is_another_by_now_is_not_lifted(site: Site) -> None:
    site.paused()
    ada, path = site.person("ada"), "/pauses/resume?scope=action&value=repair-office"
    site.web.ledger.write(pausing.lift, scope=PauseScope.ACTION, value="repair-office", author="x", why="x")
    act = {"scope": PauseScope.ACTION, "value": "repair-office", "reason": Reason.BY_OPERATOR}
    hour = datetime.now(UTC) + timedelta(hours=1)
    site.web.ledger.write(pausing.pause, author="eve", detail="for an hour", expires_at=hour, **act)
    form = {**ada.form(path), "reason": WHY, "number": "1"}
    site.web.ledger.write(pausing.pause, author="eve", detail="still broken", **act)
    answer = ada.post(path, form)
    assert answer.status_code == 409
    assert "is another by now (look again, then decide)" in answer.text
    assert "still broken" in answer.text
    assert len(site.web.ledger.read(pausing.standing)) == 1


def test_what_a_restore_held_goes_on_and_no_more_than_was_seen(site: Site) -> None:
    first, ada = site.restored(), site.person("ada")
    form = {**ada.form("/pauses/restored"), "reason": WHY, "number": "1"}
    assert "1 run held because the ledger looked restored" in text_of(ada.get("/pauses").text)
    second = site.restored()
    answer = ada.post("/pauses/restored", form)
    assert answer.status_code == 409
    assert "2 runs are held by now, not 1" in answer.text
    assert {site.story(run).run.state for run in (first, second)} == {RunState.HELD}
    assert ada.act("/pauses/restored", number="1").status_code == 303
    assert {site.story(run).run.state for run in (first, second)} == {RunState.QUEUED}
    assert site.audited(first, RunState.QUEUED, "ada") == 1
    assert ada.get("/pauses/restored").status_code == 409


# ── approval ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def jira() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.fixture
def asked(
    opened: Callable[..., Any],
    environ_on: dict[str, str],
    tmp_path: Path,
    database_url: str,
    jira: Sandbox,
    make_plan: Callable[..., Plan],
    work: Callable[..., Any],
    hold: Callable[..., Any],
    claim: Callable[..., Run],
) -> Iterator[tuple[Site, RunId]]:
    """A console before a Jira that can be read, and a run that waits for approval."""
    reached = {
        "BRIDGE_SOURCES__JIRA__BASE_URL": jira.jira_url,
        "BRIDGE_SOURCES__JIRA__USERNAME": known.JIRA_CLOUD_USERNAME,
        "BRIDGE_SOURCES__JIRA__TOKEN": known.JIRA_CLOUD_TOKEN,
    }
    with opened(tmp_path, database_url, **environ_on, **reached) as web:
        site = Site(web=web, make_plan=make_plan, work=work, hold=hold, claim=claim)
        us = Person(id="712020:bridge")
        web.ledger.write(in_force.put_account, source=SourceName("jira"), person=us)
        fields = jira_fields(devices=("WS-ABC-12345",), status="Waiting", summary="Word", labels=())
        issue = TicketControl(url=jira.jira_url).call("PUT", "issues", {"key": "SUP-900", "fields": fields})
        ticket = TicketRef(source=SourceName("jira"), uid=issue["id"], key=issue["key"])
        yield site, site.asked(ticket)


def test_l3_somebody_else_than_who_asked_approves_without_a_token(asked: tuple[Site, RunId]) -> None:
    site, run = asked
    grace, path = site.person("grace"), f"/runs/{run}/approve"
    shown = text_of(grace.get(path).text)
    approval = site.story(run).approval
    assert approval is not None
    for text in ("SUP-900", "WS-ABC-12345", "1 device", approval.plan_hash[:12], "Approved: it is sent now"):
        assert text in shown, text
    form = {**grace.form(path), "reason": WHY, "way": "approve", "number": "1"}
    assert grace.post(path, form).status_code == 303
    story = site.story(run)
    assert (story.run.state, story.history[-1].event, story.history[-1].by) == ("queued", "approved", "grace")
    assert story.history[-1].detail == WHY
    assert [comment.owed.occasion for comment in story.comments] == ["approval", "approved"]
    assert site.audited(run, "approved", "grace") == 2
    assert grace.post(path, form).status_code == 409
    assert site.audited(run, "approved", "grace") == 2


def test_l3_who_asked_for_it_declines_and_never_approves(asked: tuple[Site, RunId]) -> None:
    site, run = asked
    asker, path = site.person("asker"), f"/runs/{run}/approve"
    answer = asker.act(path, way="approve", number="1")
    assert answer.status_code == 409
    assert "whoever asked for it, or is barred by the mapping, cannot approve it" in answer.text
    assert site.story(run).run.state is RunState.HELD
    assert site.audited(run, "approval_not_taken", "asker") == 1
    assert asker.act(path, way="decline").status_code == 303
    story = site.story(run)
    assert (story.run.state, story.run.reason) == (RunState.CANCELLED, Reason.NOT_APPROVED)
    assert story.comments[-1].owed.occasion == "cancelled"
    assert site.audited(run, "declined", "asker") == 1


def test_l3_who_is_nobody_in_the_ticket_system_is_told_how_to_become_somebody(
    asked: tuple[Site, RunId],
) -> None:
    site, run = asked
    linus, path = site.person("linus"), f"/runs/{run}/approve"
    page = linus.get(path)
    assert "nothing says who that is in jira" in page.text
    assert "BRIDGE_CONSOLE_PEOPLE" in page.text
    assert '<form class="act"' not in page.text
    form = {**site.person("grace").form(path), "reason": WHY, "way": "approve", "number": "1"}
    form["csrf_token"] = linus.form("/pauses").get("csrf_token", "")
    assert linus.post(path, form).status_code in {400, 409}
    assert site.story(run).run.state is RunState.HELD


def test_s9_only_the_plan_that_was_seen_is_approved(asked: tuple[Site, RunId]) -> None:
    site, run = asked
    grace, path = site.person("grace"), f"/runs/{run}/approve"
    answer = grace.act(path, way="approve", number="1", plan="0" * 64)
    assert answer.status_code == 409
    assert "waits for another plan" in answer.text
    assert site.person("ada").get(path).status_code == 403
    assert site.story(run).run.state is RunState.HELD


@pytest.mark.parametrize("number", ["9" * 30, "9" * 5_000, "-1", "٣", "²", "1_0"])
def test_a_number_that_no_form_of_ours_carries_is_refused(site: Site, number: str) -> None:
    run, restored, ada = site.unknown(), site.restored(), site.person("ada")
    path = f"/runs/{run}/resolve"
    state = " ".join(ada.form(path)["seen"].split(" ")[:2])
    given = {"seen": f"{state} {number}", "way": "send-again", "number": "1"}
    assert ada.act(path, **given).status_code == 400
    assert ada.act("/pauses/restored", seen=number, number="1").status_code == 400
    assert ada.act("/pauses/restored", counted=number, number="1").status_code == 400
    assert site.story(run).run.state is RunState.UNKNOWN
    assert site.story(restored).run.state is RunState.HELD


# ── in a browser ─────────────────────────────────────────────────────────────────────────────────────────

ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def tab_to(page: Page, wanted: str) -> None:
    """Press Tab until something has the focus; what nobody reaches so, nobody without a mouse can use."""
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("wanted => document.activeElement.matches(wanted)", wanted):
            return
    pytest.fail(f"no key leads to {wanted}")


@pytest.mark.browser
@ON_SQLITE
def test_a_run_is_approved_by_keyboard_alone_from_the_first_page_on(
    asked: tuple[Site, RunId],
    look: Callable[..., Page],
    listening: Callable[[Any], AbstractContextManager[str]],
) -> None:
    site, run = asked
    with listening(site.web) as address:
        page = look(address, refusals=(422, 409))
        tab_to(page, "#name")
        page.keyboard.type("grace")
        tab_to(page, "#password")
        page.keyboard.type(PASSWORD)
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Sign out").wait_for()
        # What waits for a person is on top of the first page, as soon as the process has looked.
        page.locator(f"section a[href='/runs/{run}']").first.wait_for(timeout=30_000)
        tab_to(page, f"section a[href='/runs/{run}']")
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/runs/{run}")
        tab_to(page, f"a[href='/runs/{run}/approve']")
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="Approve or decline").wait_for()
        tab_to(page, "[type=radio]")
        page.keyboard.press("Space")
        tab_to(page, "#reason")
        page.keyboard.type(WHY)
        tab_to(page, "#number")
        page.keyboard.type("2")
        page.keyboard.press("Enter")
        page.get_by_text("It comes to 1: look at the devices once more").wait_for()
        assert page.get_by_label("Approve", exact=True).is_checked()
        tab_to(page, "#number")
        page.keyboard.type("1")
        page.keyboard.press("Enter")
        page.get_by_role("status").get_by_text("It is approved and queued.").wait_for()
    story = site.story(run)
    assert (story.run.state, story.history[-1].event, story.history[-1].by) == ("queued", "approved", "grace")


@pytest.mark.browser
@ON_SQLITE
def test_the_back_button_after_an_act_leads_to_no_form(
    site: Site, look: Callable[..., Page], listening: Callable[[Any], AbstractContextManager[str]]
) -> None:
    run = site.queued()
    with listening(site.web) as address:
        page = look(f"{address}/login", refusals=(409,))
        page.set_extra_http_headers(site.person("ada").headers)
        page.goto(f"{address}/runs/{run}/cancel")
        page.get_by_label("Why").fill(WHY)
        page.get_by_role("button", name="Cancel").click()
        page.get_by_role("status").get_by_text("It is cancelled.").wait_for()
        page.go_back()
        page.get_by_role("alert").wait_for()
        assert page.locator("form.act").count() == 0
    assert site.audited(run, "cancelled", "ada") == 1


@pytest.mark.browser
@ON_SQLITE
def test_every_page_of_an_act_can_be_read_by_everybody(
    asked: tuple[Site, RunId],
    look: Callable[..., Page],
    readable: Callable[[Page, str], None],
    listening: Callable[[Any], AbstractContextManager[str]],
    window: tuple[int, str],
) -> None:
    site, run = asked
    answered = site.answered()
    paths = {
        "approve": f"/runs/{run}/approve",
        "resolve": f"/runs/{site.unknown()}/resolve",
        "send-again": f"/runs/{answered}/send-again",
        "replay": f"/runs/{answered}/replay",
        "release": f"/runs/{site.over_limit(action='another')}/release",
        "run": f"/runs/{site.paused()}",
        "cancel": f"/runs/{site.restored()}/cancel",
        "refused": f"/runs/{answered}/cancel",
        "pauses": "/pauses",
        "resume": "/pauses/resume?scope=action&value=repair-office",
        "restored": "/pauses/restored",
    }
    with listening(site.web) as address:
        page = look(f"{address}/login", *window, refusals=(422, 409))
        for name, path in paths.items():
            seat = site.person("grace" if name == "approve" else "ada")
            page.set_extra_http_headers(seat.headers)
            page.goto(address + path)
            assert page.locator("form.act").count() == (name not in {"run", "refused"}), name
            readable(page, f"acts-{name}")
            if page.locator("form.act").count():
                page.locator("form.act button").click()
                page.locator(".wrong").first.wait_for()
                readable(page, f"acts-{name}-wrong")
