"""The playground: a payload and mapping texts in, what they would do out, at once.

It must not send, write or look anything up; nothing that is typed here is kept.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from flask import Blueprint, Response, request

from bridge.errors import NotPossible
from bridge.ledger import payloads
from bridge.mapping.language import MappingTexts, other_file
from bridge.models import DeliveryId, SourceName
from bridge.web.console.access import Role, needs, takes_texts, visitor
from bridge.web.console.showing import identifier, shown
from bridge.web.services import Services
from bridge.workshop import Base, Edited, Workshop, with_edited
from bridge.workshop.apart import Refused
from bridge.workshop.trying import Tried

# Characters of a payload or of a file that a page can hold.
LENGTH: Final = 200_000

# How long ago what came may be tried, too.
LONGEST_DAYS: Final = 365
USUAL_DAYS: Final = 30

_FILE: Final = re.compile(r"[\w. /-]{1,200}")
_NEW: Final = "new.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What stands in the form. Without a `text` the files are tried as they stand."""

    base: Base
    source: str
    payload: str
    file: str
    text: str

    def texts(self, workshop: Workshop) -> MappingTexts:
        """Return the texts that are meant; raise NotPossible where there are none to begin with."""
        if not _FILE.fullmatch(self.file):
            raise NotPossible("a file's name is letters, digits and . _ - / (correct it)")
        if max(len(self.text), len(self.payload)) > LENGTH:
            raise NotPossible(f"a text may have {LENGTH} characters here (use `bridge check` or `explain`)")
        edited = Edited(file=self.file, text=self.text) if self.text.strip() else None
        return with_edited(workshop.texts(self.base), edited)


def draft(given: Mapping[str, str]) -> Draft:
    """Read a form, or what a link asks for."""
    return Draft(
        base=Base.FOLDER if given.get("base") == Base.FOLDER else Base.IN_FORCE,
        source=given.get("source", ""),
        # A browser sends the ends of lines as it likes.
        payload=given.get("payload", "").replace("\r\n", "\n"),
        file=given.get("file", "").strip() or _NEW,
        text=given.get("text", "").replace("\r\n", "\n"),
    )


def install(door: Blueprint, services: Services) -> None:
    """Add the playground."""
    workshop = services.workshop

    @door.get("/playground")
    @needs(Role.ADMINISTRATOR)
    def playground() -> Response:
        workshop.warm()
        wanted, notes = draft(request.args), []
        if "delivery" in request.args:
            try:
                wanted = _with_delivery(services, wanted, request.args["delivery"].strip())
            except NotPossible as error:
                notes.append(str(error))
        try:
            wanted = _with_file(workshop, wanted)
        except NotPossible as error:
            notes.append(str(error))
        return _page(wanted, tried=None, notes=notes)

    @door.post("/playground")
    @needs(Role.ADMINISTRATOR)
    @takes_texts
    def try_texts() -> Response:
        wanted, notes = draft(request.form), []
        tried: Tried | None = None
        try:
            source = SourceName(wanted.source) if wanted.source in services.connections().sources else None
            tried = workshop.tried(wanted.texts(workshop), source=source, payload=wanted.payload)
            tried = _with_way_out(tried, wanted, workshop)
        except (NotPossible, Refused) as error:
            notes.append(str(error))
        if "HX-Request" in request.headers:
            return shown("tried.html", tried=tried, notes=notes, wanted=wanted)
        return _page(wanted, tried=tried, notes=notes)

    def _page(wanted: Draft, *, tried: Tried | None, notes: list[str]) -> Response:
        sources = services.connections().sources
        return shown(
            "playground.html",
            wanted=wanted,
            tried=tried,
            notes=notes,
            delivery=request.args.get("delivery", "")[:64],
            files=_files(workshop, wanted.base),
            bases=tuple(Base),
            sources=tuple(sources),
            reads=tuple(name for name, source in sources.items() if source.reads),
            length=LENGTH,
            days=USUAL_DAYS,
            longest_days=LONGEST_DAYS,
        )


def _with_way_out(tried: Tried, wanted: Draft, workshop: Workshop) -> Tried:
    """Say of a mapping that stands in a file, too, how to try the text in place of that file."""
    others = [
        other_file(problem.text) if (problem.place or "").startswith(f"{wanted.file}:") else None
        for problem in tried.checked.problems
    ]
    # The text of a file of the set replaces that file as it is.
    if not any(others) or wanted.file in _files(workshop, wanted.base):
        return tried
    problems = tuple(
        replace(
            problem, text=f"{problem.text.removesuffix(')')}, or choose {other} under File to replace it)"
        )
        if other
        else problem
        for problem, other in zip(tried.checked.problems, others, strict=True)
    )
    return replace(tried, checked=replace(tried.checked, problems=problems))


def _with_delivery(services: Services, wanted: Draft, delivery: str) -> Draft:
    found = services.ledger.write(
        payloads.open_to, person=visitor().name, delivery=DeliveryId(identifier(delivery))
    )
    payload = json.dumps(found.payload, indent=2, ensure_ascii=False)
    if len(payload) > LENGTH:
        raise NotPossible(
            f"the payload of {delivery} is too long for a page (`bridge sample`, `bridge explain`)"
        )
    return Draft(base=wanted.base, source=found.source, payload=payload, file=wanted.file, text=wanted.text)


def _with_file(workshop: Workshop, wanted: Draft) -> Draft:
    texts = workshop.texts(wanted.base)
    text = dict((texts.catalogue, *texts.mappings)).get(wanted.file)
    if text is None:
        return wanted
    if len(text) > LENGTH:
        raise NotPossible(
            f"{wanted.file} is too long for a page (change it on its host, and use `bridge check`)"
        )
    return Draft(base=wanted.base, source=wanted.source, payload=wanted.payload, file=wanted.file, text=text)


def _files(workshop: Workshop, base: Base) -> tuple[str, ...]:
    try:
        texts = workshop.texts(base)
    except NotPossible:
        return ()
    return (*sorted(name for name, _ in texts.mappings), texts.catalogue[0])
