"""Which columns of a record stand behind a path of the mapping language.

It must not read a record, nor say more than `record` makes of it.
"""

from typing import Final

from bridge.ticketing.servicenow.record import FOR_WHOM

# What a ticket is known by, whatever the mappings ask for.
ALWAYS: Final = frozenset({"number"})

_TICKET: Final = {
    "status": "state",
    "summary": "short_description",
    "description": "description",
    "priority": "priority",
    "labels": "sys_tags",
    "affected_item": "cmdb_ci",
    "created_at": "sys_created_on",
    "updated_at": "sys_updated_on",
}
_PEOPLE: Final = {"person": FOR_WHOM, "assignee": ("assigned_to",)}
_PARTS: Final = {"email": ("email",), "login": ("user_name",), "id": (), "name": ()}
_EVERY_PART: Final = ("email", "user_name")


def behind(names: tuple[str, ...]) -> frozenset[str] | None:
    """Return the columns that a path reads, given its leading names; None where it may be every one.

    What is read through references has dots in its name.
    """
    root, *below = names
    if root == "ticket" and below:
        return _of_ticket(below)
    if root == "fields":
        named = below[1:] if below[:1] == ["raw"] else below
        return frozenset(named[:1]) or None
    if root == "change" and below:
        return frozenset(below[:1])
    if root == "payload":
        return _of_payload(below)
    return None if root == "ticket" else frozenset()


def _of_ticket(below: list[str]) -> frozenset[str]:
    name, *rest = below
    if name in _PEOPLE:
        parts = _PARTS.get(rest[0], ()) if rest else _EVERY_PART
        return frozenset(
            column for who in _PEOPLE[name] for column in (who, *(f"{who}.{part}" for part in parts))
        )
    return frozenset({_TICKET[name]}) if name in _TICKET else frozenset()


def _of_payload(below: list[str]) -> frozenset[str] | None:
    if below[:1] == ["record"]:
        return frozenset(below[1:2]) or None
    return None if not below or below[0] == "changes" else frozenset()
