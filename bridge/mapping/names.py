"""The closed list of names under `ticket.`, `change.` and `actor.`, and which of them a ticket system has.

It must not look at a ticket: a name is right or wrong when a file is loaded.
"""

from bridge.mapping.paths import Path
from bridge.mapping.wording import nearest
from bridge.models import SourceKind

_PERSONS = ("person", "assignee")
_PERSON_NAMES = ("name", "email", "login")
_LISTS = ("labels",)
_TEXTS = (
    "key", "uid", "url", "project", "type", "request_type", "status", "summary", "description", "priority",
    "affected_item", "created_at", "updated_at",
)  # fmt: skip
TICKET_NAMES = (*_TEXTS, *_LISTS, *(f"{person}.{name}" for person in _PERSONS for name in _PERSON_NAMES))
ACTOR_NAMES = ("id", "name", "email")
_ABSENT = {SourceKind.SERVICENOW: ("project",), SourceKind.JIRA: ()}


def fault(path: Path, kind: SourceKind | None, *, whole_change: bool = False) -> str | None:
    """Return what is wrong with the names of a path, with the way out; None where nothing is.

    `kind` None means that the source is not known. `whole_change` asks for `change.NAME` without from or to.
    """
    if whole_change and path.root != "change":
        return f"'changed' is asked of a change. name, not of '{path.text}' (write change.NAME)"
    if path.root == "ticket":
        return _ticket_fault(path, kind)
    if path.root == "actor":
        return _closed_fault(path, ACTOR_NAMES)
    return _change_fault(path, whole=whole_change) if path.root == "change" else None


def _ticket_fault(path: Path, kind: SourceKind | None) -> str | None:
    wrong = _closed_fault(path, TICKET_NAMES)
    if wrong is not None:
        return wrong
    name = path.names[1]
    if kind is not None and name in _ABSENT[kind]:
        return f"'ticket.{name}' does not exist for {kind.value} (use a path that begins with fields.)"
    return None


def _closed_fault(path: Path, known: tuple[str, ...]) -> str | None:
    name = ".".join(path.names[1:])
    if name in _PERSONS and path.root == "ticket":
        return f"'{path.text}' is a person (write {path.root}.{name}.name, .email or .login)"
    if name not in known:
        full = [f"{path.root}.{one}" for one in known]
        return f"unknown field '{path.text}' ({nearest(f'{path.root}.{name}', full)})"
    if not path.plain and name not in _LISTS:
        return f"'{path.root}.{name}' is one text (remove the brackets and what follows)"
    return None


def _change_fault(path: Path, *, whole: bool) -> str | None:
    if whole:
        right = path.plain and len(path.names) == 2
        return None if right else f"'{path.text}' is not a change (write change.NAME)"
    if len(path.names) == 3 and path.names[2] in ("from", "to"):
        return None
    return f"'{path.text}' is not a side of a change (write change.{path.names[1]}.from or .to)"
