"""Approval by a personal token: it says who somebody is, and the requester never approves (L3)."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from bridge.errors import NotPossible, Reason
from bridge.ledger.people import Act
from bridge.ledger.tables import audit, tokens
from bridge.models import (
    ApprovalRule,
    Device,
    DeviceUid,
    EngineUid,
    Identity,
    Part,
    Person,
    RunState,
    SourceName,
)
from bridge.tokens import PREFIX, person_in

ACT = Act(author="administrator", reason="new approver")
RULE = ApprovalRule(above=0, expires=timedelta(hours=4))
REQUESTER = Person(id="5b10ac8d82e05b22cc7d4e01", name="Ada Example")


def known_as(*texts, source="jira"):
    return tuple(Identity(source=SourceName(source), text=text) for text in texts)


@pytest.fixture
def asked(house):
    """A house with a run that waits for approval, and the hash of its plan."""
    mine = house()
    run = mine.ask(approval=RULE, requesters=(REQUESTER,))
    (claimed,) = mine.claim()
    device = Device(uid=DeviceUid("d" * 32), name="WS-ABC-12345", engines=(EngineUid("e" * 32),))
    mine.aside.ask(claimed, (Part(number=1, devices=(device,), engines=device.engines),))
    story = mine.story(run)
    assert (story.run.state, story.run.reason) == (RunState.HELD, Reason.AWAITING_APPROVAL)
    assert story.approval is not None
    assert [device.name for part in story.approval.parts for device in part.devices] == ["WS-ABC-12345"]
    return mine, run, story.approval.plan_hash[:12]


def token(mine, *texts, name="grace", lasting=timedelta(days=90), source="jira"):
    secret, _ = mine.tokens.make(name, known_as(*texts, source=source), lasting=lasting, act=ACT)
    return secret


def decide(asked, secret, *, approve=True, plan=None):
    mine, run, seen = asked
    return mine.operations.approve(
        run, secret=secret, plan_hash=plan or seen, approve=approve, reason="looked at it"
    )


def test_l3_somebody_else_approves_and_the_run_goes_on(asked):
    mine, run, _ = asked
    assert decide(asked, token(mine, "5b10ac8d82e05b22cc7d4e02")) is RunState.QUEUED
    assert mine.state(run) is RunState.QUEUED
    assert mine.story(run).approval.decided_by == "grace"
    assert mine.occasions(run) == ["approval", "approved"]


def test_l3_the_requester_cannot_approve(asked, nexthink):
    mine, run, _ = asked
    with pytest.raises(NotPossible, match="whoever asked for it"):
        decide(asked, token(mine, REQUESTER.id))
    mine.work()
    assert mine.state(run) is RunState.HELD
    assert nexthink.calls()["by_request_uid"] == {}


def test_l3_the_requester_cannot_approve_under_another_kind_of_identity(asked):
    mine, run, _ = asked
    with pytest.raises(NotPossible, match="no identity of the kind"):
        decide(asked, token(mine, "ada.example"))
    assert mine.state(run) is RunState.HELD


def test_l3_a_token_of_another_ticket_system_says_nothing_here(asked):
    mine, _, _ = asked
    with pytest.raises(NotPossible, match="nothing says who that is in jira"):
        decide(asked, token(mine, "a" * 32, source="servicenow"))


def test_s9_an_approval_names_the_plan_that_was_seen(asked):
    mine, run, seen = asked
    secret = token(mine, "5b10ac8d82e05b22cc7d4e02")
    for plan in ("0" * 12, seen[:11]):
        with pytest.raises(NotPossible, match="waits for another plan"):
            decide(asked, secret, plan=plan)
    assert mine.state(run) is RunState.HELD


def test_a_declined_run_is_cancelled_and_told(asked, nexthink):
    mine, run, _ = asked
    assert decide(asked, token(mine, "5b10ac8d82e05b22cc7d4e02"), approve=False) is RunState.CANCELLED
    assert mine.occasions(run) == ["approval", "cancelled"]
    assert nexthink.calls()["by_request_uid"] == {}


def test_a_run_that_waits_for_approval_is_not_released_past_it(asked):
    mine, run, _ = asked
    with pytest.raises(NotPossible, match="bridge approve"):
        mine.operations.release(run, act=ACT)


def test_an_unknown_an_expired_and_a_revoked_token_approve_nothing(asked):
    mine, run, _ = asked
    secret = token(mine, "5b10ac8d82e05b22cc7d4e02", lasting=timedelta(hours=1))
    other = token(mine, "5b10ac8d82e05b22cc7d4e03", name="linus")
    with pytest.raises(NotPossible, match="not known"):
        decide(asked, secret + "x")
    mine.tokens.revoke("linus", act=ACT)
    with pytest.raises(NotPossible, match="token linus was revoked"):
        decide(asked, other)
    mine.later(hours=1)
    with pytest.raises(NotPossible, match="token grace has expired"):
        decide(asked, secret)
    assert mine.state(run) is RunState.HELD


def test_only_a_digest_of_a_token_is_kept(house):
    mine = house()
    secret = token(mine, "5b10ac8d82e05b22cc7d4e02")
    assert secret.startswith(PREFIX)
    with mine.ledger.engine.connect() as connection:
        kept = [str(row) for table in (tokens, audit) for row in connection.execute(select(table))]
    assert kept
    assert not any(secret in row or secret.removeprefix(PREFIX) in row for row in kept)


@pytest.mark.parametrize(
    ("name", "identities", "told"),
    [
        ("Grace!", known_as("a@example.com"), "lower-case letters"),
        ("grace", known_as("a@example.com", source="jria"), "did you mean 'jira'"),
        ("grace", known_as("a@example.com", "b@example.com"), "are both the e-mail in jira"),
    ],
)
def test_a_token_that_cannot_be_used_is_not_made(house, name, identities, told):
    mine = house()
    with pytest.raises(NotPossible, match=told):
        mine.tokens.make(name, identities, lasting=timedelta(days=1), act=ACT)


def test_a_name_is_never_given_again(house):
    mine = house()
    token(mine, "5b10ac8d82e05b22cc7d4e02")
    mine.tokens.revoke("grace", act=ACT)
    with pytest.raises(NotPossible, match="choose another name"):
        token(mine, "5b10ac8d82e05b22cc7d4e03")
    with pytest.raises(NotPossible, match="no token grace that could be revoked"):
        mine.tokens.revoke("grace", act=ACT)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("5b10ac8d82e05b22cc7d4e02", "id"),
        ("712020:0f0a1c5e-8f0e-4a63-9d5b-0d3c7f9b1a2e", "id"),
        ("JIRAUSER10100", "id"),
        ("0" * 32, "id"),
        ("ada.example", "login"),
        ("ada@example.com", "email"),
    ],
)
def test_an_identity_is_taken_for_what_ticket_systems_write(text, kind):
    person = person_in(SourceName("jira"), known_as(text))
    assert getattr(person, kind) == text
    assert person.identifiers == {text}
