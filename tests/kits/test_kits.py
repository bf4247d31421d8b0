"""What a kit says: the real address and headers, what the mappings need, and never a secret."""

from collections.abc import Callable
from typing import Any

import pytest

from bridge import kits
from bridge.errors import NotPossible
from bridge.kits import Kind, Kit
from bridge.mapping.language import MappingSet
from bridge.settings import Settings

PROOFS = [
    ("servicenow", "servicenow", "standard"),
    ("servicenow", "servicenow", "hmac"),
    ("servicenow", "servicenow", "token"),
    ("servicenow", "servicenow", "basic"),
    ("jira", "jira", "hmac"),
    ("jira", "jira", "token"),
    ("jira", "jira", "basic"),
]


def whole(kit: Kit) -> str:
    """Return all that a kit says."""
    parts = [kit.address, *kit.notes]
    for step in kit.steps:
        parts += [step.title, *step.says, *(f"{name}: {value}" for name, value in step.rows)]
        parts += [text for snippet in step.snippets for text in (snippet.name, snippet.text)]
    return "\n".join(parts)


def rows(kit: Kit, title: str) -> dict[str, str]:
    (step,) = (step for step in kit.steps if step.title == title)
    return dict(step.rows)


@pytest.mark.parametrize("proof", PROOFS, ids="-".join)
def test_a_kit_has_the_address_says_where_the_secret_is_put_and_never_shows_it(
    kit: Callable[..., Kit], secrets: dict[str, str], proof: tuple[str, str, str]
) -> None:
    text = whole(kit(*proof))
    assert f"https://bridge.example.org/webhooks/{proof[0]}" in text
    assert f"BRIDGE_SOURCES__{proof[0].upper()}__SECRETS" in text
    assert not [secret for secret in (*secrets.values(), "canary") if secret in text]


@pytest.mark.parametrize("proof", PROOFS, ids="-".join)
def test_without_a_public_address_a_place_is_kept_for_it_and_that_is_said(
    kit: Callable[..., Kit], proof: tuple[str, str, str]
) -> None:
    made = kit(*proof, public_url=None)
    assert made.address == f"https://YOUR-BRIDGE/webhooks/{proof[0]}"
    assert made.notes[0].startswith("BRIDGE_PUBLIC_URL is not set")


def test_a_rule_of_servicenow_watches_what_the_mappings_ask_for(kit: Callable[..., Kit]) -> None:
    made = kit("servicenow", "servicenow", "standard")
    assert rows(made, "Business rule") == {
        "Table": "incident, sc_req_item",
        "When": "after",
        "Ticked": "Insert, Update, Advanced",
        "The mappings ask for": "state changes to In Progress, or state changes to Work in Progress",
    }
    assert rows(made, "What is sent")["category"] == "office-repair-for-incident, teams-cache-of-the-caller"
    assert rows(made, "System properties")["bridge.account"] == "svc.bridge"


def test_a_webhook_of_jira_has_the_events_and_the_jql_of_the_mappings(kit: Callable[..., Kit]) -> None:
    made = kit("jira", "jira", "hmac")
    asked = rows(made, "Webhook")
    assert asked["Events"] == "Issue: created, Issue: updated"
    assert asked["JQL"] == 'project in ("SUP")'
    assert rows(made, "What the mappings read")["ticket.summary"] == "office-repair-when-approved"
    assert made.notes == ()


@pytest.mark.parametrize(
    ("given", "header", "value"),
    [
        ({}, "Header Authorization", "Bearer, a space, and the secret"),
        ({"TOKEN_HEADER": "x-webhook-secret"}, "Header x-webhook-secret", "the secret"),
    ],
)
def test_a_rule_of_automation_shows_the_token_where_the_settings_expect_it(
    kit: Callable[..., Kit], given: dict[str, str], header: str, value: str
) -> None:
    made = kit("jira", "jira", "token", **given)
    asked = rows(made, "Action: Send web request")
    assert asked[header] == value
    assert asked["Web request body"] == "Custom data"
    assert '{"issue": {"id": "{{issue.id}}", "key": "{{issue.key}}"}}' in whole(made)
    believed = kit("jira", "jira", "token", TRUST="payload", **given)
    assert rows(believed, "Action: Send web request")["Web request body"] == "Issue data (Jira format)"
    assert "{{issue.id}}" not in whole(believed)


def test_a_mapping_that_takes_any_project_leaves_the_jql_to_the_administrator(
    kit: Callable[..., Kit], mappings: Callable[[str], MappingSet]
) -> None:
    anywhere = mappings(
        "version: 1\n"
        "mappings:\n"
        "  - id: anywhere\n"
        "    source: jira\n"
        "    events: [commented]\n"
        "    when: [{field: ticket.type, in: ['Big \"one\"', Task]}]\n"
        "    action: repair-office\n"
        "    devices: {from: fields.summary}\n"
    )
    asked = rows(kit("jira", "jira", "hmac", anywhere), "Webhook")
    assert asked["JQL"] == r'issuetype in ("Big \"one\"", "Task")'
    assert asked["Events"] == "Comment: created"


def test_what_jira_cannot_do_is_said(kit: Callable[..., Kit]) -> None:
    made = kit("jira", "jira", "hmac", DEPLOYMENT="datacenter", SIGNATURE_HEADER="x-other")
    assert any("Data Center 9" in note for note in made.notes)
    assert any("x-hub-signature" in note and "SIGNATURE_HEADER" in note for note in made.notes)
    with pytest.raises(NotPossible, match="VERIFY=standard of jira"):
        kit("jira", "jira", "standard")


@pytest.mark.parametrize("proof", [PROOFS[0], PROOFS[4], PROOFS[5]], ids="-".join)
def test_a_source_that_no_mapping_names_is_told_so_and_sent_nothing_of_a_record(
    kit: Callable[..., Kit], proof: tuple[str, str, str]
) -> None:
    made = kit(*proof, mapping_set=None)
    assert any(f"no mapping names the source {proof[0]}" in note for note in made.notes)
    if proof[0] == "servicenow":
        assert 'var COLUMNS = ["number"];' in whole(made)


@pytest.mark.parametrize(
    ("kind", "name", "said"),
    [
        (Kind.JIRA, None, "several sources are of the kind jira: say --source first or second"),
        (Kind.JIRA, "third", "there is no source third"),
        (Kind.JIRA_AUTOMATION, "first", "the source first is not of the kind jira-automation"),
        (Kind.SERVICENOW, None, "no source of the kind servicenow is configured"),
    ],
)
def test_a_source_that_cannot_be_meant_is_refused_with_the_way_out(
    settings: Callable[..., Settings], kind: Kind, name: str | None, said: str
) -> None:
    sources: Any = [settings(each, "jira", "hmac").sources[0] for each in ("first", "second")]
    with pytest.raises(NotPossible, match=said):
        kits.choose(kind, sources, name)
    assert kits.choose(Kind.JIRA, sources, "second").name == "second"


@pytest.mark.parametrize(
    ("path", "by", "columns"),
    [
        ("payload.record.u_site.value", "own", ["u_site"]),
        ('fields.raw."caller_id.vip"', "own", ["caller_id.vip"]),
        ("ticket.assignee.email", "own", ["assigned_to", "assigned_to.email"]),
        ("ticket.type", "own", []),
        ("payload.changes[].field", "own", ["every column"]),
    ],
)
def test_the_columns_behind_a_path_are_sent(
    kit: Callable[..., Kit],
    mappings: Callable[[str], MappingSet],
    path: str,
    by: str,
    columns: list[str],
) -> None:
    asks = mappings(
        "version: 1\n"
        "mappings:\n"
        f"  - id: {by}\n"
        "    source: servicenow\n"
        "    events: [created]\n"
        f"    when: [{{field: '{path}', equals: x}}]\n"
        "    action: repair-office\n"
        "    devices: {from: ticket.affected_item}\n"
    )
    made = kit("servicenow", "servicenow", "standard", asks)
    assert rows(made, "What is sent") == dict.fromkeys(["cmdb_ci", *columns], by)
    assert rows(made, "Business rule")["Ticked"] == "Insert, Advanced"
    assert ("var COLUMNS = null;" in whole(made)) is (columns == ["every column"])
