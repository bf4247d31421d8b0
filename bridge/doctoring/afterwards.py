"""Asks a ticket system whether what live mappings write after an outcome exists there.

It must not write to a ticket: what one workflow, screen or data policy lets through shows only there.
"""

from collections.abc import Iterator

from bridge.connections import Source
from bridge.doctoring.findings import Finding, bad, good, note
from bridge.fetching import converse
from bridge.mapping.language import MappingSet
from bridge.mapping.rules import MappingRule
from bridge.models import Mode, NotRead, WriteBack
from bridge.ticketing import Conversation, TicketSystem
from bridge.ticketing.jira import Jira
from bridge.ticketing.jira import existing as jira_existing
from bridge.ticketing.servicenow import ServiceNow
from bridge.ticketing.servicenow import existing as servicenow_existing

ANSWER_SECONDS = 15.0


def wanted_texts(source: Source, mapping_set: MappingSet | None) -> dict[tuple[str, str], list[MappingRule]]:
    """Return what live mappings of a source write, as (key, text), and which mappings do."""
    found: dict[tuple[str, str], list[MappingRule]] = {}
    for rule in mapping_set.mappings if mapping_set else ():
        if rule.source != source.system.source or rule.mode is not Mode.LIVE:
            continue
        for key, text in (pair for change in rule.after for pair in _texts(change)):
            rules = found.setdefault((key, text), [])
            if rule not in rules:
                rules.append(rule)
    return found


def examine(
    source: Source, subject: str, wanted: dict[tuple[str, str], list[MappingRule]]
) -> Iterator[Finding]:
    """Yield what is missing with the mappings that want it, then what was found and what was not tried."""
    exists: list[str] = []
    for (key, text), rules in wanted.items():
        named = f"{key} '{text}' after an outcome"
        why = converse(source.transport, _missing(source.system, key, text), seconds=ANSWER_SECONDS)
        if isinstance(why, NotRead):
            yield note(subject, f"not known whether {named} exists: {why.detail}")
        elif why is None:
            exists.append(f"{key} '{text}'")
        else:
            mappings = ", ".join(f"{rule.id} ({rule.place})" for rule in rules)
            yield bad(subject, f"{named}: {why}", f"correct it in {mappings}")
    if exists:
        yield good(subject, f"what mappings change after an outcome exists: {', '.join(exists)}")
    if wanted:
        yield note(
            subject,
            "not tried: whether a ticket takes it, as its workflow, screens and data policies decide that",
        )


def _texts(change: WriteBack) -> Iterator[tuple[str, str]]:
    for key in ("state", "assign_to", "assign_group", "label"):
        text = getattr(change, key)
        if text is not None:
            yield key, text


def _missing(system: TicketSystem, key: str, text: str) -> Conversation[str | None]:
    if isinstance(system, Jira):
        return jira_existing.missing(system.config, key, text)
    assert isinstance(system, ServiceNow)
    return servicenow_existing.missing(system.config, key, text)
