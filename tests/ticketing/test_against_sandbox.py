"""The dialects speak, over sockets, with simulated systems that are strict about the contracts."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from bridge.models import (
    MarkerAbsent,
    NotPosted,
    OwedComment,
    Posted,
    PostFailure,
    Report,
    Visibility,
)
from bridge.ticketing import Exposed

Owed = Callable[..., OwedComment]


def test_our_account_is_told(desk: Any) -> None:
    account = desk.system.read_account(desk.ask(desk.system.account_request()))
    assert not isinstance(account, NotPosted)
    assert account.identifiers


@pytest.mark.parametrize("visibility", Visibility)
def test_a_dressed_report_is_taken_and_found_again(
    desk: Any, report: Report, owed: Owed, visibility: Visibility
) -> None:
    comment = owed(desk.system.dress(report), visibility)
    assert desk.find(comment) == MarkerAbsent()
    assert isinstance(desk.post(comment), Posted)
    assert isinstance(desk.find(comment), Posted)
    assert desk.find(dataclasses.replace(comment, marker=f"{comment.marker}2")) == MarkerAbsent()


def test_a_report_that_says_where_its_story_stands_is_taken_and_found_again(
    desk: Any, detailed: Report, owed: Owed
) -> None:
    comment = owed(desk.system.dress(detailed))
    assert detailed.details in comment.text
    assert isinstance(desk.post(comment), Posted)
    assert isinstance(desk.find(comment), Posted)


def test_the_largest_comment_is_taken(desk: Any, report: Report, owed: Owed) -> None:
    large = dataclasses.replace(report, rows=report.rows * 400, facts=(("[x]{y}|" * 9, '"<&' * 400),) * 30)
    assert isinstance(desk.post(owed(desk.system.dress(large))), Posted)


def test_a_ticket_that_is_gone_is_permanent(desk: Any, owed: Owed, report: Report) -> None:
    other = "9" * 9 if desk.ticket.table is None else "f" * 32
    gone = dataclasses.replace(desk, ticket=dataclasses.replace(desk.ticket, uid=other))
    told = gone.post(owed(desk.system.dress(report)))
    assert isinstance(told, NotPosted)
    assert told.failure is PostFailure.PERMANENT
    assert isinstance(gone.find(owed()), NotPosted)


@pytest.mark.parametrize(
    "flavour", ["cloud", "cloud, jsm route"]
)  # Data Center does not say who sees a comment
def test_a_note_that_becomes_public_is_seen_found_and_removed(
    jira_at: Callable[..., Any], report: Report, owed: Owed, flavour: str
) -> None:
    desk = jira_at(flavour)
    desk.control.behave(drops_internal=True)
    comment = owed(desk.system.dress(report))
    exposed = desk.post(comment)
    assert isinstance(exposed, Exposed)
    assert desk.find(comment) == exposed
    assert desk.ask(desk.system.remove_request(desk.ticket, exposed.id)).status == 204
    assert desk.find(comment) == MarkerAbsent()
