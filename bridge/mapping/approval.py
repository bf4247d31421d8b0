"""Reads who has to approve what: the catalogue's demand, and the way that a mapping opens for it.

It must not weaken what the catalogue asks for, nor let whoever asked approve (L3).
"""

from datetime import timedelta

from bridge.mapping.catalogue import Action
from bridge.mapping.entry import Entry
from bridge.mapping.paths import ROOTS
from bridge.mapping.reading import duration
from bridge.models import ApprovalRule, Json

# They can never approve, whatever a mapping says.
_NEVER_BY = ("person", "actor")
_EXPIRES = timedelta(hours=24)


def rule(entry: Entry, action: Action) -> ApprovalRule | None:
    """Return when a run of a mapping needs approval and how it is given; None where it needs none.

    The strictest of catalogue, `approval` and `if_too_many: approval` says on how many devices.
    """
    data = entry.own.get("approval")
    bounds = [action.approval_above, _own_bound(data), _too_many_bound(entry, data)]
    needed = [above for above in bounds if above is not None]
    if data is not None:
        _check_field(data, entry)
    if not needed:
        return None
    return _rule(data or {}, min(needed))


def _rule(data: Json, above: int) -> ApprovalRule:
    return ApprovalRule(
        above=above,
        expires=duration(data["expires"]) if "expires" in data else _EXPIRES,
        field=data.get("field"),
        becomes=data.get("becomes"),
        system=data.get("system") == "true",
        not_by=tuple(dict.fromkeys((*_NEVER_BY, *data.get("not_by", ())))),
        by_group=data.get("by_group"),
    )


def _own_bound(data: Json) -> int | None:
    return None if data is None else int(data.get("above", 0))


def _too_many_bound(entry: Entry, data: Json) -> int | None:
    """Return the number of devices above which `if_too_many` asks for approval; None where it does not."""
    if entry.own["devices"].get("if_too_many") != "approval":
        return None
    spot = (*entry.spot, "devices", "if_too_many")
    own = entry.group("limits").get("max_devices")
    if own is None:
        entry.reading.key_fault(
            spot,
            "'if_too_many: approval' needs the mapping's own 'max_devices' (add it to 'limits')",
        )
        return None
    if data is not None and "above" not in data:
        entry.reading.key_fault(
            spot,
            "'if_too_many: approval' says nothing where every run needs approval "
            f"(add 'above: {own}' to 'approval', or remove 'if_too_many')",
        )
    return int(own)


def _check_field(data: Json, entry: Entry) -> None:
    """Note a way to approve in the ticket that cannot work."""
    field = data.get("field")
    if field is None:
        return
    spot = (*entry.spot, "approval", "field")
    root, dot, name = field.partition(".")
    if dot and root in ROOTS:
        plain = name.removesuffix(".to")
        entry.reading.fault(spot, f"'{field}' is a path where the name of a field is needed (write {plain})")
    if entry.get("source") in entry.reading.context.history_unread:
        entry.reading.fault(
            spot,
            f"who changed '{field}' cannot be read: source '{entry.get('source')}' tells of no history "
            "(have HISTORY of the source set, use 'system', or leave it to 'bridge approve')",
        )
