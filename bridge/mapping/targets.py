"""Reads where a mapping finds its devices, and whose devices they have to be.

It must not look a device up, nor let a mapping leave the catalogue's fence.
"""

from bridge.mapping.catalogue import Action, OwnerFence
from bridge.mapping.documents import Path as Spot
from bridge.mapping.entry import Entry
from bridge.mapping.rules import DeviceRule
from bridge.models import DeviceKey, IfSeveral, IfSomeMissing, Json, SourceKind

# The one path that says who a ticket's person is: it is no free text, but the ticket system's own account.
_LOGIN = "ticket.person.login"


def devices(entry: Entry, kind: SourceKind | None) -> DeviceRule | None:
    """Return where the devices stand, or None after noting what is wrong."""
    data = entry.own["devices"]
    spot = (*entry.spot, "devices")
    listed = isinstance(data["from"], list)
    texts = data["from"] if listed else [data["from"]]
    spots = [(*spot, "from", number) if listed else (*spot, "from") for number in range(len(texts))]
    found = [entry.path(text, where, kind) for text, where in zip(texts, spots, strict=True)]
    extract = entry.reading.pattern(data["extract"], (*spot, "extract")) if "extract" in data else None
    by = DeviceKey(data.get("by", DeviceKey.NAME))
    _check_keys(data, texts, by, spot, entry)
    if ("extract" in data and extract is None) or None in found:
        return None
    return DeviceRule(
        paths=tuple(path for path in found if path is not None),
        extract=extract,
        split=data.get("split"),
        by=by,
        tell_none=data.get("if_none", "tell") == "tell",
        if_several=IfSeveral(data.get("if_several", IfSeveral.STOP)),
        if_some_missing=IfSomeMissing(data.get("if_some_missing", IfSomeMissing.STOP)),
    )


def owner(entry: Entry, action: Action) -> OwnerFence | None:
    """Return whose devices a mapping may reach: the narrower of catalogue and mapping; None: anybody's."""
    data = entry.own["devices"]
    fence = action.owner
    if data.get("by") != DeviceKey.USER:
        return fence
    own = OwnerFence.read(data)
    if fence is None:
        return own
    domain = own.domain if fence.domain is None else fence.domain
    if own.domain is not None and domain is not None and own.domain.casefold() != domain.casefold():
        entry.reading.fault(
            (*entry.spot, "devices", "domain"),
            f"action '{action.name}' is only for accounts of '{domain}' (write that, or remove 'domain')",
        )
    used_within = own.used_within if "used_within" in data else fence.used_within
    return OwnerFence(domain=domain, used_within=min(used_within, fence.used_within))


def _check_keys(data: Json, texts: list[str], by: DeviceKey, spot: Spot, entry: Entry) -> None:
    """Note keys that mean nothing beside `by`, and any other way to say whose device it is."""
    if by is DeviceKey.USER:
        if texts != [_LOGIN]:
            entry.reading.fault(
                (*spot, "from"), f"'by: user' asks for the devices of the ticket's person (write {_LOGIN})"
            )
        misplaced = [key for key in ("extract", "split") if key in data]
        way_out = f"is only for texts that hold devices; {_LOGIN} is one account (remove it)"
    else:
        misplaced = [key for key in ("domain", "used_within") if key in data]
        way_out = "is only for by: user (remove it, or write by: user)"
    for key in misplaced:
        entry.reading.key_fault((*spot, key), f"'{key}' {way_out}")
