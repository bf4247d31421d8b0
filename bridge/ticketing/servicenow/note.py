"""Dress a report as a journal entry: HTML between [code] tags, or plain text.

It must not let text from outside leave the tags, bring HTML, or open tags of its own.
"""

import html
from typing import Final

from bridge.models import Report
from bridge.ticketing.foreign_text import fit

LIMIT: Final = 30_000  # well below what a journal entry takes, and more than anybody reads

# The platform looks for [code] and [/code] before it reads HTML, so no bracket of ours or others' remains.
_HTML_BRACKETS: Final = str.maketrans({"[": "&#91;", "]": "&#93;"})
_PLAIN_BRACKETS: Final = str.maketrans({"[": "(", "]": ")"})


def dress(report: Report, *, code_tags: bool) -> str:
    """Return an entry of at most LIMIT characters, the marker as its last line and outside the HTML."""
    return fit(report, _html if code_tags else _plain, LIMIT)


def _html(report: Report, left_out: int) -> str:
    parts = [f"<p><strong>{_escape(report.headline)}</strong></p>"]
    parts += [f"<p>{_escape(line)}</p>" for line in (report.intro or "").split("\n") if line]
    if report.rows:
        parts.append("<table><tr><th>Engine</th><th>Result</th><th>Meaning</th></tr>")
        parts += [
            f"<tr><td>{_escape(row.engine)}</td><td><strong>{_escape(row.result)}</strong></td>"
            f"<td>{_escape(row.meaning)}</td></tr>"
            for row in report.rows
        ]
        parts.append("</table>")
    if left_out:
        parts.append(f"<p>{left_out} more Engines not shown</p>")
    if report.facts:
        facts = (
            f"<li><strong>{_escape(name)}:</strong> {_escape(value)}</li>" for name, value in report.facts
        )
        parts.append(f"<ul>{''.join(facts)}</ul>")
    if report.advice:
        advice = (f"<li>{_escape(entry)}</li>" for entry in report.advice)
        parts.append(f"<p><strong>What to do</strong></p><ul>{''.join(advice)}</ul>")
    if report.details:
        address = _escape(report.details)
        parts.append(f'<p>Details: <a href="{address}" target="_blank" rel="noreferrer">{address}</a></p>')
    return f"[code]{''.join(parts)}[/code]\n{report.marker}"


def _plain(report: Report, left_out: int) -> str:
    parts = [report.headline]
    if report.intro:
        parts.append(report.intro)
    if report.rows:
        parts.append("\n".join(f"- {row.engine}: {row.result} - {row.meaning}" for row in report.rows))
    if left_out:
        parts.append(f"{left_out} more Engines not shown")
    if report.facts:
        parts.append("\n".join(f"{name}: {value}" for name, value in report.facts))
    if report.advice:
        parts.append("What to do:\n" + "\n".join(f"- {entry}" for entry in report.advice))
    if report.details:
        parts.append(f"Details: {report.details}")
    parts.append(report.marker)
    return "\n\n".join(parts).translate(_PLAIN_BRACKETS)


def _escape(text: str) -> str:
    return html.escape(text).translate(_HTML_BRACKETS)
