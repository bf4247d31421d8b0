"""Tries what the bridge reads of a ticket system besides the ticket: history, notes, groups, what changed.

It must not write, and must not read a person's ticket: it asks about our own account and about single rows.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Final

from bridge.connections import Source
from bridge.doctoring.findings import Finding, good, warning
from bridge.fetching import converse
from bridge.mapping.language import MappingSet
from bridge.models import EventKind, Mode, NoResponse, NotPosted, NotRead, Person
from bridge.ticketing.servicenow import ServiceNow, permissions

ANSWER_SECONDS: Final = 15.0
_LATELY: Final = timedelta(minutes=5)


def examine(
    source: Source, account: Person, mapping_set: MappingSet | None, *, now: Callable[[], datetime]
) -> Iterator[Finding]:
    """Yield whether what settings and live mappings of a source ask for can be read."""
    system = source.system
    subject, settings = f"source {system.source}", f"BRIDGE_SOURCES__{system.source.upper()}__"
    rules = [
        rule
        for rule in (mapping_set.mappings if mapping_set else ())
        if rule.source == system.source and rule.mode is Mode.LIVE
    ]
    if any(rule.approval is not None and rule.approval.by_group for rule in rules):
        groups = converse(source.transport, system.fetch_groups(account), seconds=ANSWER_SECONDS)
        if isinstance(groups, NotRead):
            yield warning(
                subject,
                f"groups cannot be read, so no approval with by_group counts: {groups.detail}",
                "give our account the right to read users and their groups",
            )
        else:
            yield good(subject, "may read the groups of our own account")
    if source.reconcile is not None:
        changed = converse(source.transport, system.fetch_changed(now() - _LATELY), seconds=ANSWER_SECONDS)
        if isinstance(changed, NotRead):
            yield warning(
                subject,
                f"what changed cannot be read, so a missed webhook stays missed: {changed.detail}",
                f"check {settings}RECONCILE_JQL, {settings}TABLES and what our account may read",
            )
        else:
            yield good(subject, f"may read what changed ({len(changed)} in the last 5 minutes)")
    if isinstance(system, ServiceNow) and source.reads:
        if system.keeps_history:
            yield from _shown(
                source, system, subject, system.config.history, "no mapping with a change. condition fires"
            )
        if any(EventKind.COMMENTED in rule.events for rule in rules):
            yield from _shown(
                source, system, subject, "sys_journal_field", "no mapping of commented events fires"
            )


def _shown(source: Source, system: ServiceNow, subject: str, table: str, otherwise: str) -> Iterator[Finding]:
    """Yield whether a table shows us rows: one that is never empty looks so where an access rule hides it."""
    response = source.transport.send(permissions.request(system.config, table), deadline=ANSWER_SECONDS)
    if isinstance(response, NoResponse):
        yield warning(subject, f"table {table}: {response.detail}", "try again")
        return
    shown = permissions.read_shown(response)
    if isinstance(shown, NotPosted):
        why = shown.detail
    elif shown:
        yield good(subject, f"may read {table}")
        return
    else:
        why = "it shows no row, as where an access rule hides them"
    yield warning(
        subject,
        f"table {table} cannot be read, so {otherwise}: {why}",
        "give our account the right to read it",
    )
