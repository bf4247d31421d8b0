"""Reads what follows an outcome: further requests to the Engines that missed, and changes of the ticket.

It must not let a text of a ticket into what is written back.
"""

from datetime import timedelta

from bridge.mapping.entry import Entry
from bridge.mapping.reading import duration
from bridge.models import RunState, SendAgain, SourceKind, WriteBack

# What a ticket system has no documented way to write, and the way out.
_NOT_WRITABLE = {
    SourceKind.JIRA: ("assign_group", "Jira has no assignment group (use 'assign_to' or 'label')"),
    SourceKind.SERVICENOW: ("label", "ServiceNow has no documented way to write tags (use 'assign_group')"),
}


def send_again(entry: Entry, max_age: timedelta) -> SendAgain | None:
    """Return how often and after which wait it is sent again; None where it is not."""
    data = entry.own.get("send_again")
    if data is None:
        return None
    wait = duration(data["wait"])
    if wait >= max_age:
        entry.reading.fault(
            (*entry.spot, "send_again", "wait"),
            f"after a wait of {data['wait']} the run is older than the greatest age that holds here, "
            "so it is never sent again (shorten it, or raise 'max_age')",
        )
    return SendAgain(times=int(data["times"]), wait=wait)


def write_backs(entry: Entry, kind: SourceKind | None) -> tuple[WriteBack, ...]:
    """Return what is changed in the ticket, by outcome."""
    found: list[WriteBack] = []
    for outcome, change in entry.own.get("after", {}).items():
        spot = (*entry.spot, "after", outcome)
        if kind is not None and _NOT_WRITABLE[kind][0] in change:
            key, why = _NOT_WRITABLE[kind]
            entry.reading.key_fault((*spot, key), f"'{key}' cannot be changed: {why}")
        found.append(WriteBack(outcome=RunState(outcome), **change))
    return tuple(found)
