"""Dress a report as an ADF document, the form that Jira Cloud's version 3 comments take.

It must not make a mention, nor a link of text from outside: that only ever becomes a text node.
"""

import json
from typing import Final

from bridge.models import EngineRow, Json, Report, Tone
from bridge.ticketing.foreign_text import fit

LIMIT: Final = 30_000  # Jira takes 32,767 characters, and counts the JSON
START: Final = '{"version":1,"type":"doc"'

_PANELS: Final = {Tone.GOOD: "success", Tone.NEUTRAL: "info", Tone.WARNING: "warning", Tone.BAD: "error"}
_COLOURS: Final = {Tone.GOOD: "green", Tone.NEUTRAL: "neutral", Tone.WARNING: "yellow", Tone.BAD: "red"}
_STRONG: Final = {"type": "strong"}
_CODE: Final = {"type": "code"}
_SMALL: Final = {"type": "subsup", "attrs": {"type": "sub"}}


def dress(report: Report) -> str:
    """Return the document as JSON of at most LIMIT characters, the marker in its last paragraph."""
    return fit(report, _render, LIMIT)


def _render(report: Report, left_out: int) -> str:
    return json.dumps(_document(report, left_out), ensure_ascii=False, separators=(",", ":"))


def _document(report: Report, left_out: int) -> Json:
    content = [_panel(report)]
    content += [_paragraph(_text(line)) for line in (report.intro or "").split("\n") if line]
    if report.rows:
        content.append(_table(report.rows))
    if left_out:
        content.append(_paragraph(_text(f"{left_out} more Engines not shown")))
    if report.facts:
        facts = [(_text(f"{name}: ", _STRONG), _text(value)) for name, value in report.facts]
        content.append(_bullets(facts))
    if report.advice:
        content.append(_paragraph(_text("What to do", _STRONG)))
        content.append(_bullets([(_text(advice),) for advice in report.advice]))
    if report.details:
        link = {"type": "link", "attrs": {"href": report.details}}
        content.append(_paragraph(_text("Details: "), _text(report.details, link)))
    content.append(_paragraph(_text(report.marker, _SMALL)))
    return {"version": 1, "type": "doc", "content": content}


def _panel(report: Report) -> Json:
    headline = _paragraph(_text(report.headline, _STRONG))
    return {"type": "panel", "attrs": {"panelType": _PANELS[report.tone]}, "content": [headline]}


def _table(rows: tuple[EngineRow, ...]) -> Json:
    heading = [_cell("tableHeader", _text(name, _STRONG)) for name in ("Engine", "Result", "Meaning")]
    lines = [_table_row(heading)]
    for row in rows:
        status = {"type": "status", "attrs": {"text": row.result, "color": _COLOURS[row.tone]}}
        cells = (_text(row.engine, _CODE), status, _text(row.meaning))
        lines.append(_table_row([_cell("tableCell", node) for node in cells]))
    attributes = {"isNumberColumnEnabled": False, "layout": "default"}
    return {"type": "table", "attrs": attributes, "content": lines}


def _table_row(cells: list[Json]) -> Json:
    return {"type": "tableRow", "content": cells}


def _cell(kind: str, node: Json) -> Json:
    return {"type": kind, "content": [_paragraph(node)]}


def _bullets(items: list[tuple[Json, ...]]) -> Json:
    return {
        "type": "bulletList",
        "content": [{"type": "listItem", "content": [_paragraph(*nodes)]} for nodes in items],
    }


def _paragraph(*nodes: Json) -> Json:
    return {"type": "paragraph", "content": list(nodes)}


def _text(text: str, mark: Json = None) -> Json:
    """Return a text node; texts of a fitted report are never empty, which ADF would refuse."""
    return {"type": "text", "text": text, "marks": [mark]} if mark else {"type": "text", "text": text}
