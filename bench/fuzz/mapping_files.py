"""Mapping files: loaded, or refused with a place for every problem."""

import re
from collections.abc import Callable
from dataclasses import replace
from random import Random

from bench.fuzz.incoming import NOW
from bench.fuzz.nearly import nearly_right
from bench.fuzz.oracles import made_up_connections, made_up_settings, samples
from bridge.bootstrap import load_context
from bridge.errors import ConfigurationError, WebhookRefused
from bridge.mapping import schemas
from bridge.mapping.evaluate import evaluate
from bridge.mapping.language import MappingSet, load
from bridge.mapping_files import read
from bridge.models import Delivery, TicketEvent
from bridge.ticketing import strict_json

Alter = Callable[[bytes, Random], bytes | None]

A_PLACE = re.compile(r"[^\n]*\.yaml:\d+:\d+: \S.*", re.DOTALL)


def loaded_or_refused(loading: Callable[[], MappingSet]) -> MappingSet | None:
    """Load files, and see that every problem names its place; None where they were refused."""
    try:
        return loading()
    except ConfigurationError as refused:
        assert refused.problems
        nowhere = [problem for problem in refused.problems if not A_PLACE.fullmatch(str(problem))]
        assert nowhere == [], nowhere
        return None


def mapping_files() -> Callable[[bytes], None]:
    """A byte that says which shipped file is replaced, and its text; a set that loads judges every sample."""
    settings = made_up_settings()
    context = load_context(settings)
    shipped = read(settings.mappings, settings.catalogue_file).texts
    events = list(_events())

    def run(data: bytes) -> None:
        text, number = data[1:].decode("utf-8", "replace"), data[0] % 16 if data else 0
        # One mapping file is enough: each costs milliseconds, and says the same every time.
        texts = replace(shipped, catalogue=(shipped.catalogue[0], text), mappings=shipped.mappings[:1])
        if number < len(shipped.mappings):
            texts = replace(shipped, mappings=((shipped.mappings[number][0], text),))
        mapping_set = loaded_or_refused(lambda: load(texts, context))
        if mapping_set is not None:
            for event in events:
                evaluate(event, mapping_set, received_at=NOW)

    return run


def nearly_right_files() -> Alter:
    """Return what changes a file with regard to its schema."""
    settings = made_up_settings()
    count = len(read(settings.mappings, settings.catalogue_file).texts.mappings)
    of_mappings, of_actions = (schemas.validator(name).schema for name in (schemas.MAPPINGS, schemas.ACTIONS))

    def alter(data: bytes, chance: Random) -> bytes | None:
        schema = of_mappings if data and data[0] % 16 < count else of_actions
        text = nearly_right(data[1:].decode("utf-8", "replace"), schema, chance)
        return None if text is None else data[:1] + text.encode("utf-8", "replace")

    return alter


def mapping_files_seeds() -> list[bytes]:
    """Return the shipped files."""
    settings = made_up_settings()
    texts = read(settings.mappings, settings.catalogue_file).texts
    files = [*texts.mappings, texts.catalogue]
    return [bytes([number]) + text.encode() for number, (_, text) in enumerate(files)]


def _events() -> list[TicketEvent]:
    found = []
    for body in samples():
        for name, source in made_up_connections().sources.items():
            payload = strict_json.parse(body)
            delivery = Delivery(source=name, key="k", digest="", timed=True, payload=payload, received_at=NOW)
            try:
                event = source.system.parse_event(delivery)
            except WebhookRefused:
                continue
            found += [event] if isinstance(event, TicketEvent) else []
    return found
