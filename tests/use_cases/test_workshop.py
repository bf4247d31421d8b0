"""Mapping texts are tried in a process apart: bounded, without secrets, and with nothing written."""

import base64
import json
import os
import pickle
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest
from sqlalchemy import insert

from bridge import mapping_files
from bridge.backtesting import Backtest
from bridge.bootstrap import TEXTS, load_context
from bridge.bootstrap.outside import connect, connect_to_nothing
from bridge.cli.assuming import settings_for_files
from bridge.ledger import Ledger, in_force
from bridge.ledger.tables import deliveries
from bridge.mapping.language import MappingTexts
from bridge.models import Person, SourceKind, SourceName
from bridge.settings import Settings, describe, read_settings, without_secrets
from bridge.workshop import Edited, Workshop, trying, with_edited
from bridge.workshop.apart import Apart, Refused
from bridge.workshop.trying import Place, Tried

ROOT = Path(__file__).resolve().parents[2]
MAPPINGS = ROOT / "mappings"
FILE = "mappings/jira-office-repair.yaml"
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def apart() -> Iterator[Apart]:
    opened = Apart()
    yield opened
    opened.stop()


@pytest.fixture(scope="module")
def texts() -> MappingTexts:
    return mapping_files.read(MAPPINGS, MAPPINGS / "actions.yaml").texts


@pytest.fixture(scope="module")
def place() -> Place:
    settings = settings_for_files(
        directory=MAPPINGS,
        sources={"jira": SourceKind.JIRA, "servicenow": SourceKind.SERVICENOW},
        portals=("main",),
    )
    connections = connect(settings)
    return Place(
        context=load_context(settings),
        samples=MAPPINGS,
        systems={name: source.system for name, source in connections.sources.items()},
        reads=frozenset(),
        portals={name: portal.config for name, portal in connections.portals.items()},
    )


@pytest.fixture
def tried(apart: Apart, texts: MappingTexts, place: Place) -> Callable[..., Tried]:
    """Try the shipped files with one edited, as the workshop does."""

    def do(
        text: str = "", body: str = "", source: str = "jira", file: str = FILE, seconds: float = 30
    ) -> Tried:
        given = with_edited(texts, Edited(file=file, text=text) if text else None)
        return apart.call(
            seconds, trying.tried, place, given, source=SourceName(source), body=body.encode(), at=NOW
        )

    return do


# ── the process ──────────────────────────────────────────────────────────────────────────────────────────


def test_what_takes_too_long_is_ended_and_the_next_call_is_answered(apart: Apart) -> None:
    begun = time.monotonic()
    with pytest.raises(Refused, match="longer than 1 s"):
        apart.call(1, time.sleep, 60)
    assert time.monotonic() - begun < 10
    assert apart.call(30, abs, -1) == 1


def test_what_needs_too_much_memory_is_refused(apart: Apart) -> None:
    with pytest.raises(Refused, match="MemoryError"):
        apart.call(30, bytes, 4_000_000_000)
    assert apart.call(30, abs, -1) == 1


def test_a_process_that_was_killed_is_replaced(apart: Apart) -> None:
    pid = apart.call(30, os.getpid)
    os.kill(pid, signal.SIGKILL)
    time.sleep(0.2)
    assert apart.call(30, os.getpid) != pid
    with pytest.raises(Refused, match="more than it is given"):
        apart.call(30, os._exit, 3)


def test_it_can_write_no_file_and_knows_no_setting(
    apart: Apart, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRIDGE_CANARY", "canary")
    apart.stop()
    assert apart.call(30, os.getenv, "BRIDGE_CANARY") is None
    with pytest.raises(Refused, match="OSError"):
        apart.call(30, (tmp_path / "file").write_text, "text")
    assert (tmp_path / "file").read_text() == ""


def test_one_call_runs_and_one_waits_and_a_third_is_told_so() -> None:
    apart = Apart()
    apart.call(30, abs, -1)
    answers: list[Any] = []
    waiting = [
        threading.Thread(target=lambda: answers.append(apart.call(30, time.sleep, 1))) for _ in range(2)
    ]
    for thread in waiting:
        thread.start()
    time.sleep(0.3)
    with pytest.raises(Refused, match="others are trying"):
        apart.call(30, abs, -1)
    for thread in waiting:
        thread.join(30)
    assert answers == [None, None]
    apart.stop()


def test_it_does_not_outlive_who_started_it() -> None:
    apart = Apart()
    pid = apart.call(30, os.getpid)
    apart.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


# ── what is handed over ──────────────────────────────────────────────────────────────────────────────────

# Every secret holds it, and one that is base64 itself holds it within.
CANARY = b"canary-5f3a91"
LONG = "canary-5f3a91-and-long-enough-for-every-kind"


def _source(name: str, kind: str, verify: str, secret: str, **more: str) -> dict[str, str]:
    given = {
        "KIND": kind,
        "BASE_URL": f"https://{name}.example.com",
        "VERIFY": verify,
        "SECRETS": json.dumps([secret]),
        "TRUST": "payload",
        "USERNAME": "bridge",
        **more,
    }
    return {f"BRIDGE_SOURCES__{name.upper()}__{setting}": value for setting, value in given.items()}


SECRETIVE = {
    **_source("jira", "jira", "hmac", LONG, TOKEN=LONG),
    **_source("center", "jira", "standard", base64.b64encode(LONG.encode()).decode(), PASSWORD=LONG),
    **_source("servicenow", "servicenow", "token", LONG, PASSWORD=LONG, HISTORY="sys_audit"),
    **_source("other", "servicenow", "basic", f"hook:{LONG}", TOKEN=LONG, API_KEY_HEADER="on"),
    "BRIDGE_PORTALS__MAIN__BASE_URL": "https://portal.example.com",
    "BRIDGE_PORTALS__MAIN__USERNAME": "bridge",
    "BRIDGE_PORTALS__MAIN__PASSWORD": LONG,
    "BRIDGE_PORTALS__MAIN__NXQL_URL": "https://engine.example.com/2/query",
    "BRIDGE_PORTALS__MAIN__NXQL_USERNAME": "query",
    "BRIDGE_PORTALS__MAIN__NXQL_PASSWORD": LONG,
    "BRIDGE_DATABASE_URL": f"postgresql://bridge:{LONG}@127.0.0.1/bridge",
    "BRIDGE_PUBLIC_URL": "https://bridge.example.com",
    "BRIDGE_CONSOLE": "on",
    "BRIDGE_CONSOLE_PEOPLE": "people.yaml",
    "BRIDGE_CONSOLE_SECRET": LONG,
    "BRIDGE_CONSOLE_SIGN_IN": "proxy,oidc",
    "BRIDGE_CONSOLE_PROXY_PEERS": "127.0.0.1",
    "BRIDGE_CONSOLE_PROXY_SECRET": LONG,
    "BRIDGE_CONSOLE_OIDC_ISSUER": "https://login.example.com",
    "BRIDGE_CONSOLE_OIDC_CLIENT_ID": "bridge",
    "BRIDGE_CONSOLE_OIDC_CLIENT_SECRET": LONG,
    "BRIDGE_MAPPINGS": str(MAPPINGS),
}


def shows_a_secret(raw: bytes) -> bool:
    """Say whether the canary is there as it is or within base64, behind whatever stands before it there."""
    shifted = (base64.b64encode(b"x" * before + CANARY)[4:-4] for before in range(3))
    return any(part in raw for part in (CANARY, *shifted))


@pytest.fixture
def secretive() -> Settings:
    """Settings with every secret that there is."""
    secret = {doc.name for doc in describe() if doc.secret}
    given = {re.sub(r"(SOURCES|PORTALS)__[A-Z]+__", r"\1__<NAME>__", name) for name in SECRETIVE}
    assert secret <= given
    return read_settings(SECRETIVE)


def test_a_secret_is_found_wherever_it_stands(secretive: Settings) -> None:
    connections = connect(secretive)
    for source in connections.sources.values():
        assert shows_a_secret(pickle.dumps(source.system))
        assert shows_a_secret(pickle.dumps(source.system.account_request()))
    for portal in connections.portals.values():
        assert shows_a_secret(pickle.dumps(portal.config))
    for user in ("a", "ab", "abc"):
        assert shows_a_secret(base64.b64encode(f"{user}:{LONG}".encode()))


def test_settings_without_secrets_are_the_same_otherwise(secretive: Settings) -> None:
    bare = without_secrets(secretive)
    assert shows_a_secret(pickle.dumps(secretive))
    assert not shows_a_secret(pickle.dumps(bare))
    assert load_context(bare) == load_context(secretive)
    given = {name for name, value in secretive.sources[0] if value is not None}
    assert {name for name, value in bare.sources[0] if value is not None} == given


def test_nothing_secret_is_handed_over(
    apart: Apart, texts: MappingTexts, secretive: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs: list[bytes] = []
    asked = Apart._asked

    def listening(self: Apart, job: bytes, seconds: float) -> Any:
        jobs.append(job)
        return asked(self, job, seconds)

    monkeypatch.setattr(Apart, "_asked", listening)
    now = ledger.read(lambda tx: tx.now)
    workshop = Workshop(
        ledger=ledger,
        settings=lambda: secretive,
        connections_of=connect_to_nothing,
        context_of=load_context,
        texts_of=TEXTS.validate_json,
        clock=lambda: now,
        apart=apart,
    )
    body = (MAPPINGS / "samples" / "jira-approved.json").read_text()
    came = {"id": "d1", "key": "d1", "source": "jira", "digest": "x", "timed": 1, "state": "evaluated"}
    with ledger.engine.begin() as connection:
        connection.execute(
            insert(deliveries).values(**came, payload=body, findings="[]", received_at=now, due_at=now)
        )
    jira = SourceName("jira")
    ledger.write(in_force.put_account, source=jira, person=Person(id="712020:bridge", name="The bridge"))
    ledger.write(
        in_force.accept_mapping_set, set_hash=texts.hash, texts=TEXTS.dump_json(texts).decode(), by="x"
    )

    found = workshop.tried(texts, source=jira, payload=body)
    assert found.checked.problems == ()
    (request,) = found.attempts[0].requests
    assert dict(request.headers)["Authorization"] == "Basic ********"
    result = workshop.backtested(texts, last=timedelta(days=1)).result
    assert isinstance(result, Backtest)
    assert (result.tried, result.before.runs, result.differences) == (1, 1, ())

    # Whatever is done apart was done here.
    public = {
        one
        for name, one in vars(trying).items()
        if isinstance(one, FunctionType) and one.__module__ == trying.__name__ and not name.startswith("_")
    }
    assert {pickle.loads(job)[1] for job in jobs} == public
    assert not any(map(shows_a_secret, jobs))


# ── trying ───────────────────────────────────────────────────────────────────────────────────────────────

_HEAD = "version: 1\ndefaults: {source: jira}\nmappings:\n"
BOMBS = {
    "aliases": "a: &a [x, x]\nb: &b [*a, *a, *a]\nc: [*b, *b, *b]\n",
    "nesting": "[" * 100_000,
    "braces": "version: 1\nmappings: " + "{a: " * 50_000,
    "entries": _HEAD + "- a\n" * 45_000,
    "keys": "version: 1\n" + "".join(f"k{number}: 1\n" for number in range(15_000)),
    "pattern": _HEAD
    + "  - {id: x, events: [created], when: [{field: ticket.key, matches: '(((a{1,900}){1,900}){1,900})'}]}",
    "nulls": "\x00" * 1_000,
    "surrogates": "version: '\\ud800'",
    "anchor only": "&a",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_a_problem_or_is_ended_in_time(tried: Callable[..., Tried], bomb: str) -> None:
    begun = time.monotonic()
    try:
        found = tried(BOMBS[bomb], seconds=10)
    except Refused as error:
        problems, why = (), str(error)
    else:
        problems, why = found.checked.problems, ""
        assert not found.checked.loaded
        assert len(problems) <= 100
    assert problems or "longer than 10 s" in why
    assert time.monotonic() - begun < 25


def test_a_problem_carries_its_place_and_the_lines_around_it(tried: Callable[..., Tried]) -> None:
    text = (MAPPINGS / "jira-office-repair.yaml").read_text()
    found = tried(text.replace("    action: repair-office", "    actio: repair-office"))
    (problem,) = [each for each in found.checked.problems if "actio" in each.text]
    assert problem.place == f"{FILE}:23:5"
    (marked,) = [line for line in problem.lines if line.marked]
    assert (marked.number, marked.text) == (23, "    actio: repair-office")


def test_a_payload_that_is_no_json_is_shown_where_it_stops_to_be(tried: Callable[..., Tried]) -> None:
    refused = tried(body='{"a": 1,\n "b": }').refused
    assert refused is not None
    assert refused.place == "payload:2:7"
    assert [line.text for line in refused.lines if line.marked] == [' "b": }']


@pytest.mark.parametrize("body", ["[]", "{}", "[" * 5_000, '{"a": 1, "a": 2}', '"\\ud800"', "\ud800"])
def test_a_payload_that_is_no_ticket_is_said_to_be_none(tried: Callable[..., Tried], body: str) -> None:
    found = tried(body=body.encode("utf-8", "replace").decode())
    assert found.attempts == ()
    assert found.refused or found.ignored


def test_what_needs_approval_is_told_without_the_hash_of_what_nobody_looked_up(
    tried: Callable[..., Tried],
) -> None:
    text = (MAPPINGS / "jira-office-repair.yaml").read_text()
    body = (MAPPINGS / "samples" / "jira-approved.json").read_text()
    approved = text.replace("    mode: live", "    approval: {above: 0, system: true}\n    mode: live")
    attempt = tried(approved, body).attempts[0]
    assert ("approval", "needed for every run, so for this one") in attempt.bounds
    asked, answered = attempt.told
    assert "bridge approve <run> --plan <plan>." in asked.report.advice[-2]
    assert "WS-ABC-12345" in dict(asked.report.facts)["Approval for"]
    assert answered.when == "if every Engine accepts it"


@pytest.mark.parametrize(("mode", "when"), [("shadow", []), ("announce", ["at once"])])
def test_a_mapping_that_is_not_live_tells_what_its_mode_tells(
    tried: Callable[..., Tried], mode: str, when: list[str]
) -> None:
    text = (MAPPINGS / "jira-office-repair.yaml").read_text().replace("mode: live", f"mode: {mode}")
    body = (MAPPINGS / "samples" / "jira-approved.json").read_text()
    assert [told.when for told in tried(text, body).attempts[0].told] == when


def test_a_ticket_that_cannot_be_planned_is_told_at_once(tried: Callable[..., Tried]) -> None:
    body = (MAPPINGS / "samples" / "jira-approved-vip.json").read_text()
    attempt = tried(body=body).attempts[0]
    assert attempt.decision.outcome == "unplannable"
    assert [told.when for told in attempt.told] == ["at once"]
    assert attempt.requests is None
