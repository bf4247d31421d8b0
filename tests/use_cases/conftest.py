"""The use cases over a real ledger and the simulated systems, driven step by step on the test's own clock."""

import hashlib
import hmac
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from bridge import bootstrap
from bridge.acting import Acting
from bridge.approving import Approving
from bridge.bootstrap.outside import connect
from bridge.catching_up import CatchingUp
from bridge.connections import Connections
from bridge.dispatching import Begun
from bridge.errors import Reason
from bridge.fetching import Fetching
from bridge.judging import Judging
from bridge.keeping import Keeping
from bridge.ledger import (
    Ledger,
    Tx,
    accepting,
    claiming,
    in_force,
    listing,
    outbox,
    pausing,
    queries,
    sessions,
    starting,
)
from bridge.ledger.claiming import Allowance
from bridge.ledger.connecting import open_database
from bridge.mapping import language
from bridge.mapping.catalogue import Catalogue
from bridge.mapping.language import MappingSet, MappingTexts
from bridge.mapping.reading import LoadContext
from bridge.models import (
    CallResult,
    CallState,
    Comment,
    CommentState,
    Delivery,
    DeliveryId,
    DeliveryState,
    DeviceKey,
    HttpResponse,
    MappingId,
    Mode,
    PauseScope,
    Person,
    Plan,
    PortalName,
    Run,
    RunId,
    RunState,
    SessionId,
    SourceKind,
    SourceName,
    TicketRef,
    WebhookRequest,
)
from bridge.operations import Operations
from bridge.receiving import Receipt, Receiving
from bridge.rereading import Rereading
from bridge.resolving import Resolving
from bridge.sandbox import credentials as known
from bridge.sandbox.client import NexthinkControl, TicketControl, wait_for
from bridge.sandbox.running import Sandbox
from bridge.sandbox.scenario import jira_fields, servicenow_columns
from bridge.setting_aside import SettingAside, Trips
from bridge.settings import read_settings
from bridge.telling import POSTING, Telling
from bridge.tokens import Tokens
from bridge.transport import boot_clock
from bridge.undertaking import Undertaking

ROOT = Path(__file__).resolve().parents[2]
MAIN = PortalName("main")
UID = "07844969-1889-4de3-9026-020af94be855"
CATALOGUE = f"""
version: 1
actions:
  repair-office:
    title: Repair Microsoft Office
    uid: {UID}
    devices: {{names: '.*'}}
"""
OFFICE = """
version: 1
mappings:
  - id: office
    source: jira
    events: [updated]
    when: [{field: ticket.project, equals: SUP}]
    action: repair-office
    devices: {from: 'fields.customfield_10088[].label'}
    mode: live
"""
MANY_TRIPS = Trips(most=1_000, window=timedelta(hours=1))
JIRA_SECRETS = json.dumps([known.JIRA_WEBHOOK_SECRET])


@pytest.fixture
def rules_of_now() -> Callable[[str], MappingSet]:
    """Load the rules of now: one mapping on issues, with a line of its own."""
    context = LoadContext(sources={SourceName("jira"): SourceKind.JIRA}, portals=(MAIN,), max_devices=25)

    def loaded(line: str) -> MappingSet:
        own = (("office.yaml", f"{OFFICE}    {line}\n"),)
        return language.load(MappingTexts(catalogue=("actions.yaml", CATALOGUE), mappings=own), context)

    return loaded


@pytest.fixture(scope="session")
def running() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: Sandbox) -> Sandbox:
    """The one running sandbox, as good as new."""
    for url in (running.nexthink_url, running.jira_url, running.servicenow_url):
        NexthinkControl(url=url).reset()
    return running


@pytest.fixture
def nexthink(sandbox: Sandbox) -> NexthinkControl:
    return NexthinkControl(url=sandbox.nexthink_url)


@pytest.fixture
def jira(sandbox: Sandbox) -> TicketControl:
    return TicketControl(url=sandbox.jira_url)


@pytest.fixture
def servicenow(sandbox: Sandbox) -> TicketControl:
    return TicketControl(url=sandbox.servicenow_url)


@pytest.fixture
def environ(sandbox: Sandbox) -> dict[str, str]:
    """Settings of a bridge that has the simulated systems as its sources and its portal."""
    jira_source = {"KIND": "jira", "BASE_URL": sandbox.jira_url, "VERIFY": "hmac", "SECRETS": JIRA_SECRETS}
    cloud = {"USERNAME": known.JIRA_CLOUD_USERNAME, "TOKEN": known.JIRA_CLOUD_TOKEN}
    sources = {
        "JIRA": {**jira_source, **cloud},
        "DESK": {**jira_source, **cloud, "INTERNAL_COMMENTS": "jsm"},
        "DATACENTER": {
            **jira_source,
            "DEPLOYMENT": "datacenter",
            "USERNAME": known.JIRA_DATACENTER_USERNAME,
            "PASSWORD": known.JIRA_DATACENTER_PASSWORD,
        },
        "SERVICENOW": {
            "KIND": "servicenow",
            "BASE_URL": sandbox.servicenow_url,
            "VERIFY": "standard",
            "SECRETS": json.dumps([known.SERVICENOW_WEBHOOK_SECRET]),
            "USERNAME": known.SERVICENOW_USERNAME,
            "PASSWORD": known.SERVICENOW_PASSWORD,
        },
    }
    return {
        "BRIDGE_PORTALS__MAIN__BASE_URL": sandbox.nexthink_url,
        "BRIDGE_PORTALS__MAIN__USERNAME": known.NEXTHINK_USERNAME,
        "BRIDGE_PORTALS__MAIN__PASSWORD": known.NEXTHINK_PASSWORD,
        "BRIDGE_PORTALS__MAIN__NXQL_URL": sandbox.nxql_url,
        **{
            f"BRIDGE_SOURCES__{name}__{setting}": value
            for name, settings in sources.items()
            for setting, value in settings.items()
        },
    }


@pytest.fixture
def tickets(jira: TicketControl, servicenow: TicketControl) -> Callable[[str], TicketRef]:
    """Make a ticket in the system behind a source."""
    numbers = count(1)

    def make(source: str = "jira") -> TicketRef:
        number = next(numbers)
        if source == "servicenow":
            key, table = f"INC{number:07}", "incident"
            columns = servicenow_columns(
                number=key, device="WS-ABC-12345", state=("2", "In Progress"), summary="Word", table=table
            )
            record = servicenow.call("PUT", "records", {"table": table, "columns": columns})
            return TicketRef(source=SourceName(source), uid=record["sys_id"], key=key, table=table)
        fields = jira_fields(devices=(), status="Approved", summary="Word", labels=())
        issue = jira.call("PUT", "issues", {"key": f"SUP-{number}", "fields": fields})
        return TicketRef(source=SourceName(source), uid=issue["id"], key=issue["key"])

    return make


# In force where a test gives none: the set that every plan was made by, so nothing is held against them.
AS_ACCEPTED = MappingSet(
    hash="0" * 64, catalogue=Catalogue(actions={}), mappings=(), cases=(), warnings=(), by_event={}
)


@dataclass
class House:
    """A bridge without threads: a test says who claims what, and when."""

    ledger: Ledger
    clock: Any
    connections: Connections
    make_plan: Callable[..., Plan]
    tickets: Callable[[str], TicketRef]
    trips: Trips = MANY_TRIPS
    mapping_set: MappingSet | None = None
    accounts: dict[SourceName, Person] = field(
        default_factory=lambda: {
            SourceName("jira"): Person(id="712020:bridge"),
            SourceName("servicenow"): Person(id="b" * 32, login=known.SERVICENOW_USERNAME),
        }
    )
    can_read_rules: bool = True
    noted: list[tuple[PortalName, CallResult]] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self.resolving = Resolving(connections=lambda: self.connections, clock=self.clock)
        self.fetching = Fetching(connections=lambda: self.connections)
        self.aside = SettingAside(ledger=self.ledger, connections=lambda: self.connections, trips=self.trips)
        self.approving = Approving(
            ledger=self.ledger, fetching=self.fetching, accounts=lambda: self.accounts, aside=self.aside
        )
        self.keeping = Keeping(ledger=self.ledger, approving=self.approving, aside=self.aside)
        self.acting = Acting(
            ledger=self.ledger,
            connections=lambda: self.connections,
            resolving=self.resolving,
            rereading=Rereading(
                ledger=self.ledger,
                connections=lambda: self.connections,
                fetching=self.fetching,
                mapping_set=lambda: self.mapping_set,
            ),
            clock=self.clock,
            boot_clock=boot_clock,
            jitter=lambda: 0.0,
            mapping_set=lambda: (self.mapping_set or AS_ACCEPTED) if self.can_read_rules else None,
            noted=lambda portal, result: self.noted.append((portal, result)),
            stopping=self.stopping.is_set,
            aside=self.aside,
        )
        self.telling = Telling(
            ledger=self.ledger, connections=lambda: self.connections, clock=self.clock, jitter=lambda: 0.0
        )
        self.tokens = Tokens(ledger=self.ledger, connections=lambda: self.connections)
        self.operations = Operations(
            ledger=self.ledger,
            connections=lambda: self.connections,
            clock=self.clock,
            aside=self.aside,
            mapping_set=lambda: self.mapping_set,
            approving=self.approving,
            tokens=self.tokens,
            new_id=lambda: f"n{next(self.numbers)}",
        )
        self.open_session("s1")

    def open_session(self, name: str) -> SessionId:
        self.ledger.write(sessions.open_session, session=SessionId(name), host="host", pid=1)
        return SessionId(name)

    def undertaking(self, monotonic: Callable[[], float], names: str = "t") -> Undertaking:
        ids = (f"{names}{number}" for number in count(1))
        return Undertaking(
            ledger=self.ledger,
            connections=lambda: self.connections,
            new_id=lambda: next(ids),
            monotonic=monotonic,
            beat_seconds=5.0,
        )

    def ask(self, source: str = "jira", **plan: Any) -> RunId:
        """Accept a delivery that asks for one run on a ticket of its own; keywords are those of a plan."""
        number = next(self.numbers)
        plan.setdefault("ticket", self.tickets(source))
        wanted = self.make_plan(
            **{"devices": ("WS-ABC-12345",), "by": DeviceKey.NAME, "occurred_at": self.clock(), **plan}
        )
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
            source=wanted.ticket.source,
            key=f"identifier-{number}",
            digest=f"{number:064}",
            timed=True,
            payload={},
            received_at=self.clock(),
        )
        self.ledger.write(
            accepting.accept, delivery_id=DeliveryId(f"d{number}"), delivery=delivery, verdict=verdict
        )
        return new.id

    def claim(self, session: str = "s1", limit: int = 10) -> tuple[Run, ...]:
        portals = tuple(self.connections.portals)
        return self.ledger.write(
            claiming.claim,
            session=SessionId(session),
            allowances=(
                *(Allowance(portal=portal, runs=limit) for portal in portals),
                Allowance(portal=None, runs=1),
            ),
            configured=portals,
        )

    def claim_and_begin(self, session: str = "s1") -> list[tuple[Run, Begun | None]]:
        """Claim what is due, and admit in the same transaction what can be."""
        begin = self.acting.beginning()
        portals = tuple(self.connections.portals)

        def take(tx: Tx) -> list[tuple[Run, Begun | None]]:
            allowances = [Allowance(portal=portal, runs=10) for portal in portals]
            claimed = claiming.claim(
                tx, session=SessionId(session), allowances=allowances, configured=portals
            )
            return [(run, begin(tx, run)) for run in claimed]

        return self.ledger.write(take)

    def work(self, session: str = "s1") -> None:
        """Claim what is due and take it as far as it goes."""
        for run in self.claim(session):
            self.acting.act(run)

    def claim_comments(self, session: str = "s1") -> tuple[Comment, ...]:
        return self.ledger.write(
            outbox.claim_comments,
            session=SessionId(session),
            limit=50,
            rooms=dict.fromkeys(self.connections.sources, 50),
            lasting=POSTING,
        )

    def post(self, session: str = "s1") -> None:
        """Post every comment that is due, also those that wait behind another."""
        while comments := self.claim_comments(session):
            for comment in comments:
                self.telling.post(comment, SessionId(session))

    def story(self, run: str) -> queries.RunStory:
        return self.ledger.read(queries.run_story, run=RunId(run))

    def state(self, run: str) -> RunState:
        return self.story(run).run.state

    def calls(self, run: str) -> list[tuple[int, int, CallState]]:
        return [(call.part.number, call.attempt, call.state) for call in self.story(run).calls]

    def occasions(self, run: str) -> list[str]:
        return [comment.owed.occasion.value for comment in self.story(run).comments]

    def told(self, run: str) -> list[CommentState]:
        return [comment.state for comment in self.story(run).comments]

    def pause(self, scope: PauseScope, value: str = "", **given: Any) -> None:
        """Stop sending within a scope as an operator does, whatever is configured."""
        self.ledger.write(
            pausing.pause, scope=scope, value=value, reason=Reason.BY_OPERATOR, author="ann", **given
        )

    def later(self, **by: float) -> None:
        self.clock.move(**by)


@pytest.fixture
def house(
    ledger: Ledger,
    clock: Any,
    environ: dict[str, str],
    make_plan: Callable[..., Plan],
    tickets: Callable[[str], TicketRef],
) -> Callable[..., House]:
    """Build a house, `over` another ledger if need be; keywords are settings without their BRIDGE_ prefix."""

    def build(over: Ledger = ledger, trips: Trips = MANY_TRIPS, **settings: str) -> House:
        given = {f"BRIDGE_{name}": value for name, value in settings.items()}
        return House(
            ledger=over,
            clock=clock,
            connections=connect(read_settings({**environ, **given})),
            make_plan=make_plan,
            tickets=tickets,
            trips=trips,
        )

    return build


class Door:
    """Receiving with what is in force given by the test; a Jira signs what it sends, and shows a token."""

    us = Person(id="712020:bridge", email=known.JIRA_CLOUD_USERNAME)

    def __init__(self, ledger: Ledger, house: House, mapping_set: MappingSet | None) -> None:
        self.ledger = ledger
        self.house = house
        self.mapping_set = mapping_set
        self.accounts: dict[SourceName, Person] = {SourceName("jira"): self.us}
        ids = count(1)
        self.new_id = lambda: f"{next(ids)}"
        self.judging = Judging(
            connections=lambda: house.connections,
            mapping_set=lambda: self.mapping_set,
            accounts=lambda: self.accounts,
            new_id=self.new_id,
        )
        self.receiving = Receiving(
            ledger=ledger,
            connections=lambda: house.connections,
            judging=self.judging,
            new_id=self.new_id,
        )
        self.fetching = Fetching(connections=lambda: house.connections)
        self.identifiers = count(1)

    def send(self, payload: Any, *, identifier: str | None = None, source: str = "jira") -> Receipt:
        body = json.dumps(payload).encode()
        signature = hmac.new(known.JIRA_WEBHOOK_SECRET.encode(), body, hashlib.sha256).hexdigest()
        request = WebhookRequest(
            source=SourceName(source),
            headers=(
                ("content-type", "application/json"),
                ("x-hub-signature", f"sha256={signature}"),
                ("authorization", known.bearer(known.JIRA_WEBHOOK_SECRET)),
                ("x-atlassian-webhook-identifier", identifier or f"identifier-{next(self.identifiers)}"),
            ),
            body=body,
            received_at=self.house.clock(),
        )
        return self.receiving.receive(request)

    def configure(self, environ: dict[str, str], **settings: str) -> None:
        """Put other settings in force; keywords are settings without their BRIDGE_ prefix."""
        given = {f"BRIDGE_{name}": value for name, value in settings.items()}
        self.house.connections = connect(read_settings({**environ, **given}))

    def runs(self, state: RunState | None = None) -> list[Run]:
        return list(
            self.ledger.read(listing.page_of_runs, limit=100, wanted=listing.WantedRuns(state=state)).runs
        )

    def deliveries(self) -> list[queries.DeliveryLine]:
        return list(self.ledger.read(listing.page_of_deliveries, limit=100).deliveries)

    def pending(self) -> list[queries.DeliveryLine]:
        return [line for line in self.deliveries() if line.state is DeliveryState.PENDING]

    def learn_account(self, source: str) -> None:
        """Know our own account of a source as a worker finds it out."""
        reached = self.house.connections.sources[SourceName(source)]
        answer = reached.transport.send(reached.system.account_request(), deadline=30)
        assert isinstance(answer, HttpResponse)
        person = reached.system.read_account(answer)
        assert isinstance(person, Person)
        self.accounts[SourceName(source)] = person

    def catch_up(self, until: Callable[[], Any]) -> None:
        """Let the worker's thread for pending deliveries run until something holds."""
        stopping = threading.Event()
        catching_up = CatchingUp(
            ledger=self.ledger,
            connections=lambda: self.house.connections,
            accounts=lambda: self.ledger.read(in_force.own_accounts),
            judging=self.judging,
            fetching=self.fetching,
            clock=self.house.clock,
            jitter=lambda: 0.0,
            max_age=timedelta(hours=24),
        )
        thread = threading.Thread(target=catching_up.run, args=(stopping,))
        thread.start()
        try:
            wait_for(until, seconds=30)
        finally:
            stopping.set()
            thread.join(40)


@pytest.fixture
def mapping_set(environ: dict[str, str], tmp_path: Path) -> Callable[..., MappingSet]:
    """Accept the shipped mappings, in another mode if one is given."""

    def accept(mode: str = "live") -> MappingSet:
        folder = tmp_path / f"mappings-{mode}"
        shutil.copytree(ROOT / "mappings", folder)
        for path in folder.glob("*.yaml"):
            path.write_text(path.read_text().replace("mode: live", f"mode: {mode}"))
        result = bootstrap.check_files(read_settings({**environ, "BRIDGE_MAPPINGS": str(folder)}))
        assert result.problems == ()
        assert result.mapping_set is not None
        return result.mapping_set

    return accept


@pytest.fixture
def open_door(ledger: Ledger) -> Callable[..., Door]:
    """Open a door before a house, `over` another ledger if need be."""

    def build(house: House, mapping_set: MappingSet | None, over: Ledger = ledger) -> Door:
        return Door(over, house, mapping_set)

    return build


@pytest.fixture
def door(
    open_door: Callable[..., Door],
    house: Callable[..., House],
    mapping_set: Callable[..., MappingSet],
    clock: Any,
) -> Door:
    """A door with the shipped mappings, at the time that it is."""
    clock.now = datetime.now(UTC)
    return open_door(house(), mapping_set())


@pytest.fixture
def locked(database_url: str) -> Callable[[], Any]:
    """Hold a lock that lets nobody change a run, a call or a session until the context ends."""

    @contextmanager
    def lock() -> Iterator[None]:
        if database_url.startswith("postgresql"):
            with psycopg.connect(database_url) as connection:
                connection.execute("LOCK TABLE runs, calls, sessions IN SHARE ROW EXCLUSIVE MODE")
                yield
                connection.rollback()
            return
        engine = open_database(database_url)
        with engine.connect().execution_options(writing=True) as held, held.begin():
            held.execute(text("SELECT 1"))
            yield
        engine.dispose()

    return lock


@pytest.fixture
def impatient(ledger: Ledger, clock: Any) -> Iterator[Ledger]:
    """A second ledger on the same database whose callers wait for a commit for a fifth of a second."""
    opened = Ledger(ledger.engine, clock=clock, server_clock=False, write_timeout=0.2)
    yield opened
    opened.stop()
