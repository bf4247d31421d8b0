"""From a mapping that fired and its event to the plan of what would be sent, or to why there can be none.

It must not choose which mappings fire, nor complete a ticket that says too little.
"""

from datetime import datetime
from string import Template

from bridge.errors import Reason
from bridge.mapping import fences, parameters, patterns
from bridge.mapping.paths import MISSING, View, as_text
from bridge.mapping.rules import DeviceRule, MappingRule
from bridge.mapping.wording import shortened
from bridge.models import (
    CommentStyle,
    DeviceKey,
    DeviceUser,
    Person,
    Plan,
    PortalName,
    Problem,
    TicketEvent,
    Unplannable,
)

# Free text is searched for devices up to here; what a person writes into a ticket is shorter.
_TEXT_LIMIT = 100_000


def plan(rule: MappingRule, view: View, mapping_set: str, received_at: datetime) -> Plan | Unplannable | None:
    """Return what would be sent; None where the ticket names no device and the mapping ignores that."""
    devices = _devices(rule, view)
    if isinstance(devices, Problem):
        return unplannable(rule, view, mapping_set, devices)
    if not devices:
        if not rule.devices.tell_none:
            return None
        asked = " and ".join(path.text for path in rule.devices.paths)
        named = "account" if rule.devices.by is DeviceKey.USER else "device"
        detail = f"the ticket names no {named} at {asked}"
        none = Problem(reason=Reason.NO_DEVICE, place="devices", detail=detail)
        return unplannable(rule, view, mapping_set, none)
    user = _user(rule, view)
    if isinstance(user, Problem):
        return unplannable(rule, view, mapping_set, user)
    portal = _portal(rule, view)
    if isinstance(portal, Problem):
        return unplannable(rule, view, mapping_set, portal)
    params = parameters.fill(rule.action.params, rule.params, view)
    if isinstance(params, Problem):
        return unplannable(rule, view, mapping_set, params)
    action, event = rule.action, view.event
    return Plan(
        mapping=rule.id,
        mapping_set=mapping_set,
        mode=rule.mode,
        repeat=rule.repeat,
        action=action.name,
        title=action.title,
        remote_action_uid=dict(action.uids)[portal],
        portal=portal,
        devices=devices,
        by=rule.devices.by,
        fence=action.fence,
        if_several=rule.devices.if_several,
        if_some_missing=rule.devices.if_some_missing,
        max_devices=rule.max_devices,
        engine_choice=action.engine_choice,
        engines=action.engines,
        params=params,
        timeout_seconds=action.timeout_seconds,
        repeatable=action.repeatable,
        max_age=rule.max_age,
        style=CommentStyle(visibility=rule.visibility, intro=intro(rule, view, devices)),
        ticket=event.ref,
        asked_by=event.ticket.person.name,
        occurred_at=event.occurred_at or received_at,
        limits=rule.limits,
        approval=rule.approval,
        requesters=_requesters(event),
        user=user,
        send_again=rule.send_again,
        after=rule.after,
    )


def unplannable(rule: MappingRule, view: View, mapping_set: str, problem: Problem) -> Unplannable:
    """Return the answer of a mapping that fired but cannot be planned; its intro would promise too much."""
    return Unplannable(
        mapping=rule.id,
        mapping_set=mapping_set,
        mode=rule.mode,
        action=rule.action.name,
        title=rule.action.title,
        style=CommentStyle(visibility=rule.visibility),
        ticket=view.event.ref,
        problem=problem,
        after=rule.after,
    )


def intro(rule: MappingRule, view: View, devices: tuple[str, ...]) -> str | None:
    """Return the first line of the comment with its names filled in."""
    if rule.intro is None:
        return None
    ticket = view.event.ticket
    values = {
        "action": rule.action.title,
        "count": str(len(devices)),
        "devices": shortened(", ".join(devices), 500),
        "person": shortened(ticket.person.name or "an unnamed person"),
        "ticket": view.event.ref.key,
    }
    return Template(rule.intro).substitute(values)


def _portal(rule: MappingRule, view: View) -> PortalName | Problem:
    chosen = rule.portal
    if chosen.fixed is not None:
        return chosen.fixed
    assert chosen.path is not None
    value = view.value(chosen.path)
    text = None if isinstance(value, tuple) else as_text(value)
    portal = None if text is None else dict(chosen.table).get(text)
    if portal is not None:
        return portal
    seen = (
        "no value" if value is MISSING else f"'{shortened(text)}'" if text is not None else "no single value"
    )
    detail = f"{chosen.path.text} has {seen}, for which the mapping names no portal"
    return Problem(reason=Reason.NO_PORTAL, place="portal", detail=detail)


def _requesters(event: TicketEvent) -> tuple[Person, ...]:
    """Return who asked: the ticket's person and whoever made the change (L3).

    Where it is not known who made it, that is somebody without a name, from whom nobody can be told apart;
    where the ticket system names nobody for it, an app did.
    """
    known = [person for person in (event.ticket.person, event.actor) if person and person != Person()]
    return tuple(dict.fromkeys(known if event.actor is not None else [*known, Person()]))


def _user(rule: MappingRule, view: View) -> DeviceUser | Problem | None:
    """Return whose devices the plan is bound to; a ticket that does not say who has no device."""
    if rule.owner is None:
        return None
    login = view.event.ticket.person.login
    if login is None or not fences.is_login(login.strip()):
        seen = "no login" if not login else f"the login '{shortened(login)}'"
        detail = (
            f"the action is only for devices of the ticket's person, for whom the ticket has {seen} "
            "(letters, digits, '.', '_' and '-' are needed)"
        )
        return Problem(reason=Reason.NOT_THEIR_DEVICE, place="devices", detail=detail)
    return DeviceUser(login=login.strip(), domain=rule.owner.domain, used_within=rule.owner.used_within)


def _devices(rule: MappingRule, view: View) -> tuple[str, ...] | Problem:
    """Return the devices of a ticket, unique and in order, each inside the fence; or the first problem."""
    unique: dict[str, str] = {}
    for text in _texts(rule.devices, view):
        if isinstance(text, Problem):
            return text
        if text.casefold() not in unique:
            problem = _refused(rule, text)
            if problem is not None:
                return problem
            # Never cut short: one device more than allowed, and nothing runs.
            if len(unique) == rule.max_devices:
                detail = f"the ticket names more than {rule.max_devices} devices, which is the limit here"
                return Problem(reason=Reason.TOO_MANY_DEVICES, place="devices", detail=detail)
            unique[text.casefold()] = text.lower() if rule.devices.by is DeviceKey.UID else text
    return tuple(unique.values())


def _texts(rule: DeviceRule, view: View) -> list[str | Problem]:
    """Return every text that names a device, stripped, in the order of the paths."""
    found: list[str | Problem] = []
    for path in rule.paths:
        value = view.value(path)
        if value is MISSING:
            continue
        for entry in value if isinstance(value, tuple) else (value,):
            text = as_text(entry)
            if text is None:
                detail = (
                    f"{path.text} has a group of fields where a device name is needed (name a field in it)"
                )
                return [Problem(reason=Reason.DEVICE_REFUSED, place="devices", detail=detail)]
            if len(text) > _TEXT_LIMIT:
                detail = f"{path.text} is longer than {_TEXT_LIMIT} characters"
                return [Problem(reason=Reason.DEVICE_REFUSED, place="devices", detail=detail)]
            found += _taken(rule, text)
    return found


def _taken(rule: DeviceRule, text: str) -> list[str]:
    pieces = text.split(rule.split) if rule.split is not None else [text]
    if rule.extract is not None:
        pieces = [word for piece in pieces for word in rule.extract.words(piece)]
    return [piece.strip() for piece in pieces if piece.strip()]


def _refused(rule: MappingRule, text: str) -> Problem | None:
    why = _why_refused(rule, text)
    if why is None:
        return None
    detail = f"'{shortened(text)}' is refused: {why}"
    return Problem(reason=Reason.DEVICE_REFUSED, place="devices", detail=detail)


def _why_refused(rule: MappingRule, text: str) -> str | None:
    control = patterns.control_character(text)
    if control is not None:
        return f"it has the control character {control}"
    if rule.devices.by is DeviceKey.UID:
        return None if fences.is_uid(text) else "it is not a device UID of 32 hex digits"
    if rule.devices.by is DeviceKey.USER:
        if fences.is_login(text):
            return None
        return "it is not an account's name (letters, digits, '.', '_' and '-', 63 at most, no domain)"
    if fences.is_uid(text):
        return "it looks like a sys_id (send the display value)"
    return fences.breach(rule.action.fence, text)
