"""Read from a Jira changelog what an event changed, under names that nobody can forge.

It must not decide which change a mapping wants.
"""

from typing import Final

import re2

from bridge.models import Change, Json
from bridge.ticketing.payloads import entries, members, text

_CUSTOM_ID: Final = re2.compile(r"customfield_[0-9]{1,19}")
# Every name under which Jira itself tells of a change, in lower case. A custom field's display name is free
# text: whoever administers a team-managed project may call one "status", and its value is anybody's to set.
# Sprint, Rank, Epic Link and Team are not here: those are custom fields that Jira made, and change as such.
_SYSTEM_NAMES: Final = frozenset(
    {
        "affectedversions", "affects version", "affects version/s", "aggregatetimespent", "archived",
        "archiveddate", "assignee", "attachment", "comment", "component", "component/s", "components",
        "created", "creator", "description", "due date", "duedate", "environment", "epic child",
        "fix version", "fix version/s", "fixversion", "fixversions", "issue type", "issuekey",
        "issueparentassociation", "issuetype", "key", "labels", "link", "original estimate", "parent",
        "priority", "progress", "project", "remaining estimate", "remoteissuelink", "reporter",
        "resolution", "resolutiondate", "resolved", "restrict to", "security", "security level", "status",
        "statuscategory", "statuscategorychangedate", "subtask", "subtasks", "summary", "time spent",
        "timeestimate", "timeoriginalestimate", "timespent", "timetracking", "updated", "version",
        "versions", "votes", "watchers", "watches", "workflow", "worklog", "worklogid", "worklogtimespent",
        "workratio",
    }
)  # fmt: skip


def changes(changelog: Json) -> tuple[Change, ...]:
    """Return what the items of a changelog changed; a system field wins over a custom one of its name.

    A custom field changes under its number (`customfield_10088`) and, where that is no name of Jira's own,
    under the name that people gave it. Values are those that Jira shows.
    """
    items = [members(item) for item in entries(members(changelog).get("items"))]
    system = {name: _change(name, item) for item in items for name in _system_names(item)}
    custom = {name: _change(name, item) for item in items for name in _custom_names(item)}
    return tuple({**custom, **system}.values())


def _system_names(item: dict[str, Json]) -> tuple[str, ...]:
    name = text(item.get("field"))
    return () if name is None or _is_custom(item) else (name,)


def _custom_names(item: dict[str, Json]) -> tuple[str, ...]:
    if not _is_custom(item):
        return ()
    # Jira gives the number, people the name; a name that looks like a number would be another field's.
    number, name = text(item.get("fieldId")), text(item.get("field"))
    free = name is not None and name.casefold() not in _SYSTEM_NAMES and not _CUSTOM_ID.fullmatch(name)
    return tuple(one for one in (number, name if free else None) if one is not None)


def _is_custom(item: dict[str, Json]) -> bool:
    """Say whether people may have named the field: it is Jira's own only where Jira says so."""
    return item.get("fieldtype") != "jira"


def _change(name: str, item: dict[str, Json]) -> Change:
    return Change(name=name, before=item.get("fromString"), after=item.get("toString"))
