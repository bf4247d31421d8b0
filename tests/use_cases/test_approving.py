"""Rule L3: what needs approval is sent only if somebody else approved exactly this, lately, and is known."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bridge.approving import by_field
from bridge.errors import NotPossible, Reason
from bridge.ledger import approvals, working
from bridge.ledger.people import Act
from bridge.ledger.tables import runs
from bridge.models import (
    ApprovalRule,
    Change,
    DeviceKey,
    EngineChoice,
    HistoryEntry,
    Layer,
    Limit,
    LimitKind,
    Person,
    RunState,
    SourceName,
    TicketRef,
)
from bridge.sandbox.client import wait_for
from bridge.sandbox.scenario import REQUESTER, jira_fields

HOUR = timedelta(hours=1)
ACT = Act(author="ann@example.com", reason="the user is in a meeting now")
ANN = {"accountId": "712020:ann", "displayName": "Ann Approver", "active": True}
ASKER = Person(id=REQUESTER["accountId"])


@pytest.fixture
def office(house, jira, clock, rules_of_now):
    """A house with a run that has asked for approval, on an issue that names one device."""
    clock.now = datetime.now(UTC) - timedelta(seconds=2)
    mine = house()
    mine.mapping_set = rules_of_now("approval: {field: status, becomes: Approved}")

    def ask(devices=("WS-ABC-12345",), requesters=(ASKER,), **rule):
        fields = jira_fields(devices=devices, status="Waiting", summary="Word", labels=())
        issue = jira.call("PUT", "issues", {"key": "SUP-900", "fields": fields})
        given = {"above": 0, "expires": 4 * HOUR, "field": "status", "becomes": "Approved", **rule}
        run = mine.ask(
            ticket=TicketRef(source=SourceName("jira"), uid=issue["id"], key=issue["key"]),
            devices=devices,
            mapping_set=mine.mapping_set.hash,
            engine_choice=EngineChoice.WHERE_FOUND,
            approval=ApprovalRule(**given),
            requesters=requesters,
        )
        mine.work()
        return run

    mine.ask_for = ask
    return mine


def change(jira, field="status", after="Approved", actor=ANN, fields=None, key="SUP-900"):
    document = {
        "key": key,
        "fields": {field: {"id": "10200", "name": after}} if fields is None else fields,
        "changes": [{"field": field, "before": "Waiting", "after": after}],
        "actor": actor,
    }
    jira.call("POST", "changes", document)


def keep(mine):
    """Look once at what is held, and wait until every ticket was read."""
    for reading in mine.keeping.look():
        reading.result()


def looked(mine, run):
    keep(mine)
    mine.work()
    return mine.state(run)


def shown(mine, run):
    """Return the beginning of the plan's hash, as `bridge runs show` prints it."""
    return mine.ledger.read(approvals.approval_of, run=run).plan_hash[:12]


def sent(nexthink):
    return nexthink.calls()["calls"]


# ── asked ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_run_that_needs_approval_asks_for_it_and_waits(office, nexthink):
    run = office.ask_for()
    assert (office.state(run), office.story(run).run.reason) == (RunState.HELD, Reason.AWAITING_APPROVAL)
    assert office.occasions(run) == ["approval"]
    text = office.story(run).comments[0].owed.text
    assert "WS-ABC-12345" in text
    assert "Set status of this ticket to Approved" in text
    assert sent(nexthink) == []


def test_a_run_on_few_devices_needs_none(office, nexthink):
    run = office.ask_for(above=1)
    assert office.state(run) is RunState.ANSWERED
    assert len(sent(nexthink)) == 1


# ── in the ticket ────────────────────────────────────────────────────────────────────────────────────────


def test_l3_a_change_of_the_ticket_by_somebody_else_approves(office, jira, nexthink):
    run = office.ask_for()
    change(jira)
    assert looked(office, run) is RunState.ANSWERED
    assert office.occasions(run) == ["approval", "approved", "answered"]
    assert "Ann Approver" in office.story(run).comments[1].owed.text


def test_a_run_that_cannot_be_read_keeps_no_other_from_being_approved(office, jira, nexthink):
    damaged, run = office.ask_for(), office.ask_for()
    office.ledger.write(
        lambda tx: tx.connection.execute(runs.update().where(runs.c.id == damaged).values(plan="{}"))
    )
    change(jira)
    assert looked(office, run) is RunState.ANSWERED
    taken = office.ledger.write(
        approvals.take_due, source=SourceName("jira"), limit=4, lease=timedelta(minutes=1)
    )
    assert taken.unreadable == ()
    assert len(sent(nexthink)) == 1


@pytest.mark.parametrize(
    ("actor", "rule"),
    [
        (REQUESTER, {}),
        (ANN, {"by_group": "approvers"}),
        (ANN, {"not_by": ("person", "actor", "assignee")}),
    ],
    ids=("the requester", "outside the group", "barred by the mapping"),
)
def test_l3_whoever_may_not_approve_does_not(office, jira, nexthink, actor, rule):
    run = office.ask_for(**rule)
    change(jira, fields={"status": {"id": "1", "name": "Approved"}, "assignee": ANN}, actor=actor)
    assert looked(office, run) is RunState.HELD
    assert sent(nexthink) == []


def test_l3_an_approval_that_does_not_count_is_told_in_the_timeline_once(office, jira):
    jira.call("PUT", "people", {"person": ANN, "groups": ["staff"]})
    run = office.ask_for(by_group="approvers")
    change(jira)
    for _ in range(3):
        assert looked(office, run) is RunState.HELD
        office.later(minutes=1)
    told = [line.detail for line in office.story(run).history if line.event == "approval_not_taken"]
    assert told == ["they are not in the group approvers"]


def test_l3_somebody_of_the_group_approves(office, jira):
    jira.call("PUT", "people", {"person": ANN, "groups": ["approvers", "staff"]})
    run = office.ask_for(by_group="approvers")
    change(jira)
    assert looked(office, run) is RunState.ANSWERED


def test_l3_where_nothing_says_who_asked_nobody_can_be_told_apart(office, jira):
    run = office.ask_for(requesters=(), not_by=())
    change(jira)
    assert looked(office, run) is RunState.HELD


@pytest.mark.parametrize("asked_by", [Person(login="ada"), Person(email="ada@example.com")])
def test_l3_who_cannot_be_told_apart_from_the_requester_does_not_approve_in_the_ticket(
    office, jira, nexthink, asked_by
):
    run = office.ask_for(requesters=(asked_by,), not_by=())
    change(jira)
    assert looked(office, run) is RunState.HELD
    assert sent(nexthink) == []


def test_l3_what_was_set_before_the_question_approves_nothing(office, jira, clock):
    run = office.ask_for()
    change(jira, after="Approved")
    office.ledger.write(
        lambda tx: tx.connection.execute(
            approvals.approvals.update().values(asked_at=datetime.now(UTC) + HOUR)
        )
    )
    assert looked(office, run) is RunState.HELD


def test_l3_what_was_taken_back_approves_nothing(office, jira):
    run = office.ask_for()
    change(jira)
    change(jira, after="Waiting")
    assert looked(office, run) is RunState.HELD


def test_a_change_that_cannot_be_read_is_asked_for_again(office, jira):
    run = office.ask_for()
    change(jira)
    jira.fault("status", status=503, path="*/issue/*", times=1)
    assert looked(office, run) is RunState.HELD
    office.later(minutes=1)
    assert looked(office, run) is RunState.ANSWERED


US = {"accountId": "712020:bridge", "displayName": "Bridge", "active": True}


@pytest.mark.parametrize(
    "known",
    [{}, {SourceName("jira"): Person(login="bridge.svc")}, {SourceName("jira"): Person(name="Bridge")}],
    ids=("not known", "by another kind of identity", "by its name alone"),
)
def test_l3_our_own_account_does_not_approve_whatever_is_known_of_it(office, jira, nexthink, known):
    office.accounts = known
    run = office.ask_for()
    change(jira, actor=US)
    assert looked(office, run) is RunState.HELD
    with pytest.raises(NotPossible, match="the bridge's own account"):
        decide(office, run, person=Person(id=US["accountId"]))
    assert sent(nexthink) == []


def test_l3_where_it_is_not_known_who_made_the_change_nobody_can_be_told_apart(office, jira, nexthink):
    run = office.ask_for(requesters=(ASKER, Person()))
    change(jira)
    assert looked(office, run) is RunState.HELD
    with pytest.raises(NotPossible, match="does not say who asked"):
        decide(office, run)
    assert sent(nexthink) == []


def test_l3_of_two_changes_at_the_same_time_none_is_taken_for_the_last(office):
    run = office.ask_for()
    approval = office.ledger.read(approvals.approval_of, run=run)
    ticket = office.story(run).run.ticket
    fetched = office.fetching.ticket(ticket, approval.asked_at)
    at = approval.asked_at + timedelta(seconds=1)
    rule = office.story(run).run.plan.approval

    def entry(after, seconds=0):
        changes = (Change(name="status", before="Waiting", after=after),)
        later = at + timedelta(seconds=seconds)
        return HistoryEntry(key=after, at=later, actor=Person(id=ANN["accountId"]), changes=changes)

    def decided(*history):
        return by_field(rule, approval, replace(fetched, history=history))

    assert decided(entry("Approved"), entry("Waiting")) == ()
    assert decided(entry("Waiting"), entry("Approved")) == ()
    assert [each.by.id for each in decided(entry("Waiting"), entry("Approved", seconds=1))] == [
        ANN["accountId"]
    ]


# ── the service desk's own approvals ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("decision", "state"), [("approved", RunState.ANSWERED), ("declined", RunState.CANCELLED)]
)
def test_l3_the_ticket_systems_own_approval_decides(office, jira, decision, state):
    run = office.ask_for(field=None, becomes=None, system=True)
    asked = jira.call("POST", "approvals", {"key": "SUP-900", "approvers": [ANN]})
    keep(office)
    assert office.state(run) is RunState.HELD
    order = {"approver": ANN["accountId"], "decision": decision}
    jira.call("POST", f"approvals/{asked['id']}", order)
    office.later(minutes=1)
    assert looked(office, run) is state


def test_l3_one_approver_who_may_not_keeps_nobody_else_from_approving(office, jira, nexthink):
    run = office.ask_for(field=None, becomes=None, system=True)
    for who in (ANN, REQUESTER):
        asked = jira.call("POST", "approvals", {"key": "SUP-900", "approvers": [who]})
        order = {"approver": who["accountId"], "decision": "approved"}
        jira.call("POST", f"approvals/{asked['id']}", order)
    assert looked(office, run) is RunState.ANSWERED
    assert len(sent(nexthink)) == 1


# ── by a person at the bridge ────────────────────────────────────────────────────────────────────────────


def decide(mine, run, *, person=None, approve=True, plan=None):
    return mine.approving.decide(
        run,
        person=person or Person(id=ANN["accountId"]),
        by="ann",
        plan_hash=shown(mine, run) if plan is None else plan,
        approve=approve,
        act=ACT,
    )


def test_l3_a_person_with_a_token_approves(office, nexthink):
    run = office.ask_for(field=None, becomes=None)
    assert decide(office, run) is RunState.QUEUED
    office.work()
    assert office.state(run) is RunState.ANSWERED
    assert len(sent(nexthink)) == 1


@pytest.mark.parametrize("spelling", ["ada@example.COM", " ada@example.com ", "\uff41da@example.com"])
def test_l3_the_requester_cannot_approve_in_whatever_spelling(office, spelling):
    run = office.ask_for(requesters=(Person(email="Ada@Example.com"),))
    with pytest.raises(NotPossible, match="whoever asked"):
        decide(office, run, person=Person(email=spelling))
    with pytest.raises(NotPossible, match="nothing identifies"):
        decide(office, run, person=Person(name="Ann"))


def test_s9_only_the_plan_that_was_seen_can_be_approved(office):
    run = office.ask_for()
    with pytest.raises(NotPossible, match="another plan"):
        decide(office, run, plan="0" * 12)
    with pytest.raises(NotPossible, match="another plan"):
        decide(office, run, plan="")
    decide(office, run)
    with pytest.raises(NotPossible, match="does not wait"):
        decide(office, run, plan="0" * 12)


def test_a_declined_run_is_cancelled_and_told(office, nexthink):
    run = office.ask_for()
    assert decide(office, run, approve=False) is RunState.CANCELLED
    office.work()
    assert (office.state(run), office.story(run).run.reason) == (RunState.CANCELLED, Reason.NOT_APPROVED)
    assert office.occasions(run) == ["approval", "cancelled"]
    assert sent(nexthink) == []


def test_a_release_does_not_stand_for_an_approval(office):
    run = office.ask_for()
    with pytest.raises(NotPossible, match="approv"):
        office.operations.release(run, act=ACT)


# ── and keeps nobody else waiting ──


def test_w4_a_ticket_system_that_hangs_keeps_no_other_run_waiting(office, jira):
    run = office.ask_for()
    limited = Limit(kind=LimitKind.PER_HOUR, layer=Layer.ACTION, most=1, window=HOUR)
    for device in ("WS-ABC-12345", "WS-LAB-00006"):
        late = office.ask("servicenow", limits=(limited,), devices=(device,), action="another")
    office.mapping_set = None
    office.work()
    office.later(minutes=61)
    assert office.state(late) is RunState.HELD
    jira.fault("delay", seconds=2.0, path="*/issue/*", times=1)
    readings = office.keeping.look()
    assert office.state(late) is RunState.QUEUED
    assert [reading.done() for reading in readings] == [False]
    for reading in readings:
        reading.result()
    assert office.state(run) is RunState.HELD


def test_a_held_run_whose_ticket_system_was_taken_out_expires_without_a_comment(office):
    run = office.ask_for()
    office.connections = replace(office.connections, sources={})
    office.later(hours=4)
    keep(office)
    assert office.state(run) is RunState.EXPIRED
    assert office.occasions(run) == ["approval"]


# ── bound to the plan and to a time ──────────────────────────────────────────────────────────────────────


def test_an_approval_expires(office, jira, nexthink):
    run = office.ask_for()
    office.later(hours=4)
    assert looked(office, run) is RunState.EXPIRED
    assert office.story(run).run.reason is Reason.NOT_APPROVED
    assert office.occasions(run) == ["approval", "expired"]


def test_an_approval_never_outlasts_the_age_of_the_run(office):
    run = office.ask_for(expires=90 * HOUR)
    assert office.ledger.read(approvals.approval_of, run=run).expires_at <= office.clock() + 24 * HOUR


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"customfield_10088": [{"id": "1", "label": "WS-ABC-23456"}]}, Reason.PLAN_CHANGED),
        ({"customfield_10088": []}, Reason.PLAN_CHANGED),
        ({"status": {"name": "Done", "statusCategory": {"key": "done"}}}, Reason.TICKET_CLOSED),
    ],
    ids=("other devices", "no devices", "closed"),
)
def test_an_approved_run_whose_ticket_is_another_now_is_cancelled_and_told(
    office, jira, nexthink, fields, reason
):
    run = office.ask_for()
    decide(office, run)
    change(jira, field="other", fields=fields)
    office.work()
    assert (office.state(run), office.story(run).run.reason) == (RunState.CANCELLED, reason)
    assert sent(nexthink) == []


def test_an_approved_run_whose_name_means_another_device_now_is_cancelled(office, jira, nexthink):
    run = office.ask_for()
    decide(office, run)
    office.ledger.write(
        lambda tx: tx.connection.execute(approvals.approvals.update().values(plan_hash="0" * 64))
    )
    office.work()
    assert (office.state(run), office.story(run).run.reason) == (RunState.CANCELLED, Reason.PLAN_CHANGED)
    assert sent(nexthink) == []


def test_an_approved_run_whose_ticket_is_gone_is_cancelled(office, jira, nexthink):
    run = office.ask_for()
    decide(office, run)
    jira.call("DELETE", "issues/SUP-900")
    office.work()
    assert (office.state(run), office.story(run).run.reason) == (RunState.CANCELLED, Reason.TICKET_NOT_READ)
    assert sent(nexthink) == []


def test_an_approved_run_whose_ticket_cannot_be_read_now_waits(office, jira, nexthink):
    run = office.ask_for()
    decide(office, run)
    jira.fault("status", status=503, path="*/issue/*", times=1)
    office.work()
    assert office.state(run) is RunState.QUEUED
    office.later(seconds=31)
    office.work()
    assert office.state(run) is RunState.ANSWERED
    assert len(sent(nexthink)) == 1


def test_an_approved_run_whose_ticket_was_read_too_slowly_has_it_read_again(office, jira, nexthink):
    run = office.ask_for()
    decide(office, run)
    jira.fault("delay", seconds=1.0, path="*/issue/*", times=1)
    with ThreadPoolExecutor(1) as worker:
        before = len(jira.requests())
        working = worker.submit(office.work)
        wait_for(lambda: len(jira.requests()) > before)
        office.later(seconds=31)
        working.result()
    assert (office.state(run), office.story(run).run.crashes) == (RunState.QUEUED, 0)
    assert sent(nexthink) == []
    office.work()
    assert office.state(run) is RunState.ANSWERED


def test_a_webhook_about_the_ticket_has_it_asked_at_once(office, jira):
    run = office.ask_for()
    keep(office)
    office.later(seconds=10)
    change(jira)
    keep(office)
    assert office.state(run) is RunState.HELD
    ticket = office.story(run).run.ticket
    office.ledger.write(approvals.ask_again, tickets={ticket})
    assert looked(office, run) is RunState.ANSWERED


def test_a_person_is_told_of_a_run_that_does_not_wait_for_approval(office):
    run = office.ask_for(above=1)
    with pytest.raises(NotPossible, match="does not wait for approval"):
        decide(office, run, plan="0" * 12)
    assert office.ledger.read(working.find_run, run=run).plan.by is DeviceKey.NAME


# ── and a second send ────────────────────────────────────────────────────────────────────────────────────


def test_l3_a_second_send_reaches_a_part_of_what_was_approved_and_asks_nobody_again(office, jira, nexthink):
    run = office.ask_for(devices=("WS-ABC-34567",))
    nexthink.answer(engine="engine-emea-2", code="not_connected", times=1)
    change(jira)
    assert looked(office, run) is RunState.ANSWERED
    office.operations.send_again(run, attempt=1, act=Act(author="operator", reason="it is back"))
    office.work()
    assert office.state(run) is RunState.ANSWERED
    first, second = sent(nexthink)
    assert set(second["engine_uids"]) < set(first["engine_uids"])


def test_a_second_send_of_what_was_approved_does_not_outlive_its_ticket(office, jira, nexthink):
    run = office.ask_for(devices=("WS-ABC-34567",))
    nexthink.answer(engine="engine-emea-2", code="not_connected", times=1)
    change(jira)
    assert looked(office, run) is RunState.ANSWERED
    change(jira, field="customfield_10088", fields={"customfield_10088": []})
    office.operations.send_again(run, attempt=1, act=Act(author="operator", reason="it is back"))
    office.work()
    # What was answered stands; the rest is said not to follow.
    assert (office.state(run), office.story(run).run.reason) == (RunState.ANSWERED, Reason.PLAN_CHANGED)
    assert len(sent(nexthink)) == 1


# ── and a replay ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_replay_of_what_the_ticket_asks_for_no_more_says_why_it_ends_and_not_that_it_was_approved(
    office, jira, nexthink
):
    run = office.ask_for()
    decide(office, run)
    change(jira, field="other", fields={"customfield_10088": [{"id": "1", "label": "WS-ABC-23456"}]})
    office.work()
    again = office.operations.replay(run, act=Act(author="operator", reason="once more"))
    office.work()
    ended = office.story(again).run
    assert (ended.state, ended.reason) == (RunState.CANCELLED, Reason.PLAN_CHANGED)
    assert ended.detail == "the ticket names other devices now"
    (comment,) = office.story(again).comments
    assert "Not sent: it is not what is asked for any more" in comment.owed.text
    assert "The ticket names other devices now." in comment.owed.text
    assert sent(nexthink) == []


def test_a_replay_of_what_was_approved_for_other_devices_asks_for_approval_of_those_of_now(office, nexthink):
    run = office.ask_for()
    decide(office, run)
    office.ledger.write(
        lambda tx: tx.connection.execute(approvals.approvals.update().values(plan_hash="0" * 64))
    )
    office.work()
    again = office.operations.replay(run, act=Act(author="operator", reason="the device was replaced"))
    office.work()
    assert office.story(again).run.reason is Reason.AWAITING_APPROVAL
    decide(office, again)
    office.work()
    assert office.state(again) is RunState.ANSWERED
    assert len(sent(nexthink)) == 1
