"""A note's HTML stays between its tags, and nothing from outside becomes HTML."""

import dataclasses
import re
from html.parser import HTMLParser

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.models import EngineRow, Report, Tone
from bridge.ticketing.servicenow import ServiceNow
from bridge.ticketing.servicenow.note import dress

HOSTILE = [
    "[/code]<script>alert(1)</script>[code]",
    "<img src=x onerror=y>",
    "[CODE]<b>x</b>[/CODE]",
    '" onclick="x',
    "&lt;b&gt;",
]


class Seen(HTMLParser):
    """The tags, attributes and text of a piece of HTML."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def filled(report: Report, text: str) -> Report:
    row = EngineRow(engine=text, result=text, tone=Tone.BAD, meaning=text)
    return dataclasses.replace(
        report, headline=text, intro="intro", rows=(row,), facts=((text, text),), advice=(text,)
    )


def inside(dressed: str) -> str:
    parts = re.fullmatch(r"\[code\]([^\[\]]*)\[/code\]\nbridge-01hx9-answered-1", dressed)
    assert parts is not None
    return parts.group(1)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.sampled_from(HOSTILE) | st.text(st.sampled_from("[]/code<>&\"' ;ab")) | st.text())
def test_hostile_text_neither_leaves_the_tags_nor_becomes_html(report: Report, text: str) -> None:
    seen = Seen(inside(dress(filled(report, text), code_tags=True)))
    plain = Seen(inside(dress(filled(report, "a"), code_tags=True)))
    assert seen.tags == plain.tags
    assert seen.attributes == []


@pytest.mark.parametrize("text", HOSTILE)
def test_only_the_address_of_the_story_becomes_a_link(detailed: Report, text: str) -> None:
    dressed = dress(filled(detailed, f"https://evil.example/ {text}"), code_tags=True)
    seen = Seen(inside(dressed))
    assert seen.tags.count("a") == 1
    assert [value for name, value in seen.attributes if name == "href"] == [detailed.details]
    assert seen.text.endswith(f"Details: {detailed.details}")


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_shown_as_it_is(report: Report, text: str) -> None:
    assert text in Seen(inside(dress(filled(report, text), code_tags=True))).text


@pytest.mark.parametrize("text", HOSTILE)
def test_plain_notes_have_no_tags_at_all(report: Report, text: str) -> None:
    assert not {"[", "]"} & set(dress(filled(report, text), code_tags=False))


def test_an_instance_without_code_tags_gets_plain_text(servicenow: ServiceNow, report: Report) -> None:
    plain = ServiceNow(config=dataclasses.replace(servicenow.config, code_tags=False))
    assert "<table>" in servicenow.dress(report)
    assert plain.dress(report).startswith("Request accepted by 1 of 2 Engines\n")
    assert plain.dress(report).split("\n")[-1] == report.marker
