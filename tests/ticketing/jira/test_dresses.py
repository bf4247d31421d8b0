"""ADF that Jira accepts, wiki text that stays text, and nothing from outside that acts."""

import dataclasses
import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from bridge.models import EngineRow, Json, Report, Tone
from bridge.ticketing.jira import Jira, adf, wiki

EXACT = {"additionalProperties": False}


def node(kind: str, content: Json = None, attrs: Json = None) -> Json:
    properties: dict[str, Json] = {"type": {"const": kind}}
    if content is not None:
        properties["content"] = {"type": "array", "minItems": 1, "items": content}
    if attrs is not None:
        properties["attrs"] = {
            "type": "object",
            "properties": attrs,
            "required": list(attrs),
            **EXACT,
        }
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        **EXACT,
    }


# The part of Atlassian's schema that our comments use; anything else (a mention, a link) does not validate.
MARK = {
    "anyOf": [
        {"type": "object", "properties": {"type": {"enum": ["strong", "code"]}}, **EXACT},
        {
            "type": "object",
            "properties": {"type": {"const": "subsup"}, "attrs": {"const": {"type": "sub"}}},
            **EXACT,
        },
    ]
}
TEXT = {
    "type": "object",
    "properties": {
        "type": {"const": "text"},
        "text": {"type": "string", "minLength": 1},
        "marks": {"type": "array", "items": MARK},
    },
    "required": ["type", "text"],
    **EXACT,
}
STATUS = node(
    "status",
    attrs={
        "text": {"type": "string", "minLength": 1},
        "color": {"enum": ["neutral", "purple", "blue", "red", "yellow", "green"]},
    },
)
PARAGRAPH = node("paragraph", {"anyOf": [TEXT, STATUS]})
PANEL = node(
    "panel", PARAGRAPH, {"panelType": {"enum": ["info", "note", "tip", "warning", "error", "success"]}}
)
CELLS = {"anyOf": [node("tableCell", PARAGRAPH), node("tableHeader", PARAGRAPH)]}
TABLE = node(
    "table",
    node("tableRow", CELLS),
    {"isNumberColumnEnabled": {"const": False}, "layout": {"const": "default"}},
)
BULLETS = node("bulletList", node("listItem", PARAGRAPH))
DOCUMENT = node("doc", {"anyOf": [PARAGRAPH, PANEL, TABLE, BULLETS]})
DOCUMENT["properties"]["version"] = {"const": 1}
DOCUMENT["required"].append("version")
SCHEMA = Draft202012Validator(DOCUMENT)

foreign = st.text(max_size=60)
reports = st.builds(
    Report,
    headline=foreign,
    tone=st.sampled_from(Tone),
    intro=st.none() | foreign,
    rows=st.lists(
        st.builds(EngineRow, engine=foreign, result=foreign, tone=st.sampled_from(Tone), meaning=foreign),
        max_size=3,
    ).map(tuple),
    facts=st.lists(st.tuples(foreign, foreign), max_size=3).map(tuple),
    advice=st.lists(foreign, max_size=3).map(tuple),
    marker=st.just("bridge-01hx9-answered-1"),
)
HOSTILE = [
    "{panel}x{panel}",
    "[click|https://evil.example]",
    "!https://evil.example/x.png!",
    "[~admin]",
    "*bold*",
    "_it_",
    "-gone-",
    "||head||",
    "|cell|",
    "# list",
    "h1. big",
    "bq. quote",
    "----",
    "\\\\ break",
    "{code}",
    "https://evil.example/x",
    "mailto:a@evil.example",
    "www.evil.example",
    "HR-1",
    "~sub~",
    "^sup^",
    "+ins+",
    "??cite??",
    ":)",
    "(!)",
    "\\{panel\\}",
    "&#123;panel&#125;",
    "a\nh1. b",
    "{color:red}x{color}",
    "@admin",
    "<b>x</b>",
]


@given(reports)
def test_any_report_is_valid_adf_with_the_marker_as_its_last_words(report: Report) -> None:
    document = json.loads(adf.dress(report))
    SCHEMA.validate(document)
    assert document["content"][-1]["content"][0]["text"] == report.marker


def test_a_report_has_a_panel_a_real_table_and_lozenges(cloud: Jira, report: Report) -> None:
    document = json.loads(cloud.dress(report))
    kinds = [block["type"] for block in document["content"]]
    assert kinds == [
        "panel",
        "paragraph",
        "paragraph",
        "table",
        "bulletList",
        "paragraph",
        "bulletList",
        "paragraph",
    ]
    rows = document["content"][3]["content"]
    assert len(rows) == 3
    lozenge = rows[2]["content"][1]["content"][0]["content"][0]
    assert lozenge == {"type": "status", "attrs": {"text": "Not connected", "color": "red"}}


@pytest.mark.parametrize("text", HOSTILE)
def test_only_the_address_of_the_story_becomes_a_link(detailed: Report, text: str) -> None:
    whole = dataclasses.replace(detailed, headline=text, facts=((text, text),), advice=(text,))
    document = json.loads(adf.dress(whole))
    *before, story, marker = document["content"]
    link = {"type": "link", "attrs": {"href": detailed.details}}
    assert story["content"] == [
        {"type": "text", "text": "Details: "},
        {"type": "text", "text": detailed.details, "marks": [link]},
    ]
    SCHEMA.validate({**document, "content": [*before, marker]})
    *before, story, empty, marker = wiki.dress(whole).split("\n")
    assert (story, empty, marker) == (f"Details: [{detailed.details}]", "", detailed.marker)
    assert not {"[", "]"} & set(bare("\n".join(before)))


@pytest.mark.parametrize("tone", Tone)
def test_every_tone_has_its_panel_and_colour(report: Report, tone: Tone) -> None:
    toned = dataclasses.replace(report, tone=tone, rows=(dataclasses.replace(report.rows[0], tone=tone),))
    SCHEMA.validate(json.loads(adf.dress(toned)))
    assert wiki.dress(toned).startswith("{panel:bgColor=#")


def bare(escaped: str) -> str:
    """Return what is left to act as markup once every escaped character and entity is taken out."""
    return re.sub(r"\\[^a-zA-Z0-9\s]|&#92;", "", escaped)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_inert_wiki_text(text: str) -> None:
    for line in text.split("\n"):
        left = bare(wiki.escape(line))
        assert not set("{}|[]!*_-+^~?#@&<>()\\") & set(left)
        assert "://" not in left
        assert not re.search(r":\S|(?i:www\.)|^(h[1-6]|bq)\.", left)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.sampled_from("{}|[]!*_-+^~?#@&<>()\\:/. ahw1\n\"'")))
def test_no_text_changes_the_markup_of_a_wiki_comment(report: Report, text: str) -> None:
    row = EngineRow(engine=text, result=text, tone=Tone.BAD, meaning=text)
    filled = dataclasses.replace(
        report, headline=text, intro=None, rows=(row,), facts=((text, text),), advice=(text,)
    )
    shape = re.sub(r"[^{}|\[\]!*#]", "", bare(wiki.dress(filled)))
    letter = EngineRow(engine="a", result="a", tone=Tone.BAD, meaning="a")
    plain = dataclasses.replace(filled, headline="a", rows=(letter,), facts=(("a", "a"),), advice=("a",))
    assert shape == re.sub(r"[^{}|\[\]!*#]", "", bare(wiki.dress(plain)))


def test_a_colon_at_the_end_does_not_meet_the_markup_behind_it(report: Report) -> None:
    assert "*https\\:*" in wiki.dress(dataclasses.replace(report, headline="https:"))


@pytest.mark.parametrize("text", ["::D", "mailto:::x", "a:: :p"])
def test_a_colon_behind_a_colon_makes_no_smile_and_no_link(text: str) -> None:
    assert not re.search(r":\S", bare(wiki.escape(text)))


def test_ordinary_prose_stays_readable_wiki_text() -> None:
    assert wiki.escape("Result: 1 of 2 Engines, 50% done.") == "Result: 1 of 2 Engines, 50% done."


def test_a_wiki_comment_ends_with_its_marker(datacenter: Jira, report: Report) -> None:
    assert datacenter.dress(report).split("\n")[-1] == report.marker
