"""Runs, deliveries and tickets: narrowed by an address that can be shared, and nothing on them is alive."""

import json
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from html.parser import HTMLParser
from typing import Any

import pytest
from sqlalchemy import text

from bridge.errors import Reason
from bridge.ledger import people, refusals
from bridge.ledger.people import Act
from bridge.models import (
    CallResult,
    CallState,
    EngineCode,
    EngineOutcome,
    EngineUid,
    PauseScope,
    Run,
    SourceName,
)

EVIL = "<script>alert(1)</script> \N{RIGHT-TO-LEFT OVERRIDE}txt.exe\N{POP DIRECTIONAL FORMATTING} \x1b[2J"
SCRIPTED = "javascript:alert(1)"
ASKING = {"customfield_10050": {"value": "Clear Teams cache"}, "customfield_10051": "WS-ABC-12345"}


class Parts(HTMLParser):
    """The links of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value for name, value in attrs if name == "href" and value]

    def handle_data(self, data: str) -> None:
        self.text += data

    @property
    def words(self) -> str:
        return " ".join(self.text.split())


@pytest.fixture(scope="module")
def answered(web: Any, sender: Any, work: Callable[..., Run]) -> Run:
    """A run whose ticket and Engine try to break out."""
    web.post(sender.created(**ASKING, summary=EVIL, reporter={"accountId": "1", "displayName": EVIL})[1])
    outcome = EngineOutcome(
        engine=EngineUid("1" * 32),
        name=EVIL,
        code=EngineCode.UNRECOGNISED,
        code_text=EVIL,
        message=f"{EVIL} {SCRIPTED}",
    )
    return work(web.ledger, CallResult(state=CallState.ANSWERED, status=200, outcomes=(outcome,)))


@pytest.fixture(scope="module")
def missed(web: Any, sender: Any) -> str:
    """The key of a ticket that asked for nothing that is served."""
    ticket, body = sender.created(customfield_10050={"value": EVIL})
    web.post(body)
    return str(ticket)


def about(web: Any, ticket: str) -> str:
    """Return the path of the page of a ticket's only delivery."""
    (path,) = (
        link for link in Parts(web.get(f"/deliveries?ticket={ticket}").text).links if "/deliveries/d" in link
    )
    return path


# ── runs ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("fits", "does_not"),
    [
        ("state=answered", "state=held"),
        ("source=jira", "source=servicenow"),
        ("mapping=teams-cache-when-chosen", "mapping=teams"),
        ("action=clear-teams-cache", "action=wipe"),
        ("device=ws-abc-12345", "device=ws-abc"),
        (f"device={'0' * 32}", f"device={'9' * 32}"),
        ("from=2020-01-01", "from=2999-01-01"),
        ("to=2999-01-01T00:00", "to=2020-01-01"),
        ("from=2020-01-01T00:00%2B02:00&to=2999-12-31 23:59", "from=2020-01-01&to=2020-01-02"),
    ],
)
def test_runs_are_narrowed_by_what_stands_in_the_address(
    web: Any, answered: Run, fits: str, does_not: str
) -> None:
    path = f"/runs?ticket={answered.ticket.key.lower()}"
    assert f"/runs/{answered.id}" in Parts(web.get(f"{path}&{fits}").text).links
    other = web.get(f"{path}&{does_not}")
    assert other.status_code == 200
    assert f"/runs/{answered.id}" not in Parts(other.text).links
    assert "No run fits." in other.text


@pytest.mark.parametrize("list_", ["runs", "deliveries"])
@pytest.mark.parametrize(
    ("query", "name", "told"),
    [
        ("ticket=%27--", "ticket", "is no ticket's key"),
        ("ticket=%F0%28", "ticket", "is no ticket's key"),
        ("source=%00", "source", "cannot be seen"),
        (f"source={'x' * 201}", "source", "longer than 200"),
        ("from=yesterday", "from", "is no time"),
        ("to=0001-01-01T00:00%2B23:59", "to", "is no time"),
        ("from=2026-01-02&to=2026-01-02", "to", "nothing can be between"),
        ("after=9", "after", "is no place in the list"),
        ("after=99999999999999999999-r1", "after", "is no place in the list"),
        ("live=on", "live", "can only be off"),
        ("stat=held", "stat", "is no filter of this list"),
        ("source=jira&source=servicenow", "source", "stands twice"),
    ],
)
def test_what_a_list_cannot_read_is_told_and_nothing_is_shown(
    web: Any, answered: Run, list_: str, query: str, name: str, told: str
) -> None:
    answer = web.get(f"/{list_}?{query}")
    assert answer.status_code == 400
    page = unescape(answer.text)
    assert f'id="wrong-{name}"><strong>{name}</strong>' in page
    assert told in page
    assert answered.id not in page
    assert answered.delivery not in page


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/runs?state=canary", "is none of queued, claimed"),
        ("/deliveries?came=canary", "is none of run, no_mapping"),
    ],
)
def test_a_word_that_is_none_of_a_lists_is_told(web: Any, path: str, told: str) -> None:
    answer = web.get(path)
    assert answer.status_code == 400
    assert told in answer.text


def test_what_was_asked_stands_in_the_form_and_in_every_link_of_the_list(web: Any, answered: Run) -> None:
    query = "ticket=SUP-1&state=held&device=x%22%3E&from=2020-01-01&live=off"
    page = web.get(f"/runs?{query}").text
    assert 'value="x&#34;&gt;"' in page
    assert '<option value="held" selected>' in page
    assert "hx-get" not in page
    (again,) = (link for link in Parts(page).links if "from=2020" in link)
    assert "live" not in again
    polled = unescape(web.get(again).text.partition('hx-get="')[2].partition('"')[0])
    assert sorted(polled.partition("?")[2].split("&")) == sorted(query.removesuffix("&live=off").split("&"))


def test_a_list_goes_on_behind_its_last_row_and_leaves_nothing_out(web: Any, sender: Any) -> None:
    posted = [sender.created(**ASKING, project={"key": "SUP"}) for _ in range(52)]
    for _, body in posted:
        assert web.post(body).status_code == 200
    for path, last in (("/runs?state=queued", "/runs/r"), ("/deliveries?source=jira", "/deliveries/d")):
        found: list[str] = []
        here: str | None = path
        while here is not None:
            links = Parts(web.get(here).text).links
            found += [link for link in links if link.startswith(last)]
            here = next((link for link in links if "after=" in link and "live=off" not in link), None)
        assert len(found) == len(set(found)) >= 52
        assert {key for key, _ in posted} <= {run.ticket.key for run in web.runs()}


# ── a run ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_run_shows_its_request_without_the_password(web: Any, answered: Run) -> None:
    page = web.get(f"/runs/{answered.id}").text
    words = Parts(page).words
    assert f'"requestUid": "{answered.id}-1-1"' in words
    assert '"deviceUids": [ "00000000000000000000000000000000" ]' in words
    assert "Authorization: Basic ********" in words
    assert "canary" not in page
    assert "YnJpZGdl" not in page


def test_a_run_that_waits_shows_the_request_that_would_be_made(
    web: Any, sender: Any, hold: Callable[..., Run]
) -> None:
    act = Act(author="ada", reason=EVIL)
    scope = {"scope": PauseScope.ACTION, "value": "clear-teams-cache"}
    web.ledger.write(people.pause, **scope, lasting=timedelta(hours=2), act=act)
    ticket, body = sender.created(**ASKING)
    web.post(body)
    while (held := hold(web.ledger, Reason.PAUSED, "action clear-teams-cache")).ticket.key != ticket:
        pass
    page = Parts(web.get(f"/runs/{held.id}").text)
    web.ledger.write(people.resume, **scope, act=act)
    assert "The request that would be made" in page.words
    assert "<UID of WS-ABC-12345>" in page.words
    assert f"{held.id}-1-1" in page.words
    assert f"bridge cancel {held.id} --reason TEXT" in page.words
    assert "script" in page.tags
    assert "\\u202etxt.exe" in page.text


def test_a_run_leads_to_its_ticket_its_delivery_and_its_mapping(web: Any, answered: Run) -> None:
    links = Parts(web.get(f"/runs/{answered.id}").text).links
    assert f"/tickets/{answered.ticket.key}" in links
    assert f"/deliveries/{answered.delivery}" in links
    assert f"/mappings/{answered.mapping}" in links
    assert answered.ticket.url in links


# ── deliveries and tickets ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("came", "fits"), [("no_mapping", True), ("run", False), ("needless", False), ("waiting", False)]
)
def test_deliveries_are_narrowed_by_what_came_of_them(web: Any, missed: str, came: str, fits: bool) -> None:
    links = Parts(web.get(f"/deliveries?came={came}&source=jira&ticket={missed}&from=2020-01-01").text).links
    assert any(link.startswith("/deliveries/d") for link in links) is fits


def test_a_delivery_that_led_to_nothing_shows_each_condition_with_what_it_saw(web: Any, missed: str) -> None:
    words = Parts(web.get(about(web, missed)).text).words
    assert "Nothing ran, because no mapping fired. teams-cache-when-chosen came nearest" in words
    assert "yes ticket.project is 'SUP', the mapping wants 'SUP'" in words
    assert "no fields.customfield_10050.value is '<script>alert(1)</script> \\u202etxt.exe" in words


def test_three_clicks_lead_from_a_key_to_why_nothing_ran(web: Any, missed: str) -> None:
    client = web.app.test_client()
    searched = client.get(f"/tickets?ticket=%20{missed.lower()}%20")
    assert searched.headers["Location"] == f"/tickets/{missed}"
    page = client.get(searched.headers["Location"]).text
    assert "teams-cache-when-chosen came nearest" in page
    (decided,) = {link for link in Parts(page).links if link.startswith("/deliveries/d")}
    assert "What each mapping decided" in client.get(decided).text


def test_a_ticket_shows_its_runs_and_what_came_of_the_newest_change(
    web: Any, sender: Any, answered: Run
) -> None:
    page = Parts(web.get(f"/tickets/{answered.ticket.key}").text)
    assert f"/runs/{answered.id}" in page.links
    assert (
        "An action was asked for and sent: the newest run, of mapping teams-cache-when-chosen, is answered."
        in page.words
    )
    assert "Since then" not in page.words


def test_of_a_ticket_of_which_nothing_came_the_refusals_are_counted(web: Any) -> None:
    counted = {(SourceName("jira"), Reason.BAD_SIGNATURE): 3}
    web.ledger.write(refusals.count_refusals, counted)
    page = web.get("/tickets/SUP-1").text
    words = Parts(page).words
    assert "Nothing that was accepted is about this ticket: either its system sent nothing" in words
    assert "<td>bad signature</td><td>3</td>" in page
    assert "Which ticket it was about is not kept" in words


@pytest.mark.parametrize(
    "path", ["/tickets?ticket=", "/tickets?ticket=%00", "/tickets/%3Cb%3E", "/tickets", "/tickets/"]
)
def test_what_is_no_key_is_told_so(web: Any, path: str) -> None:
    answer = web.get(path)
    assert answer.status_code == 404
    assert path.endswith("/") or "no ticket&#39;s key" in answer.text.replace("'", "&#39;")


def test_a_key_is_led_to_as_its_system_writes_it_and_nowhere_else(web: Any) -> None:
    assert web.get("/tickets/sup-1").headers["Location"] == "/tickets/SUP-1"
    # ServiceNow names a record so whose number is not known.
    assert web.get(f"/tickets?ticket={'AB' * 16}").headers["Location"] == f"/tickets/{'ab' * 16}"
    assert web.get(f"/tickets/{'ab' * 16}").status_code == 200
    assert web.get("/tickets?ticket=//example.com").status_code == 404


# ── hostile texts ────────────────────────────────────────────────────────────────────────────────────────


def test_what_a_ticket_or_an_engine_says_is_text_that_turns_nothing_about(
    web: Any, answered: Run, missed: str
) -> None:
    paths = ["/runs", "/deliveries", f"/tickets/{answered.ticket.key}", f"/tickets/{missed}"]
    paths += [f"/runs/{answered.id}", f"/deliveries/{answered.delivery}", about(web, missed)]
    shown = 0
    for path in paths:
        page = web.get(path).text
        assert "<script>alert" not in page, path
        assert not set(page) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\x1b"), path
        assert not [link for link in Parts(page).links if link.startswith("javascript:")], path
        assert "canary" not in page, path
        shown += "\\u202etxt.exe\\u202c \\x1b[2J" in page
    assert shown >= 3


def test_a_tickets_address_is_a_link_only_where_it_leads_to_the_web(
    web: Any, sender: Any, work: Callable[..., Run]
) -> None:
    _, body = sender.created(**ASKING)
    run = web.post(body).get_json()["runs"][0]
    stored = json.dumps({"source": "jira", "uid": "1", "key": EVIL, "url": SCRIPTED})
    web.ledger.write(
        lambda tx: tx.connection.execute(
            text("UPDATE runs SET ticket = :t WHERE id = :r"), {"t": stored, "r": run}
        )
    )
    for path in ("/runs", f"/runs/{run}"):
        page = Parts(web.get(path).text)
        assert SCRIPTED not in page.links
        assert "\\u202etxt.exe" in page.text
