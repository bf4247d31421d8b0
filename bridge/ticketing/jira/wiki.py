"""Dress a report as wiki text, the form of Data Center comments and of the JSM route.

It must not let text from outside become markup, a mention, a link or a line of its own.
"""

from typing import Final

import re2

from bridge.models import Report, Tone
from bridge.ticketing.foreign_text import fit

LIMIT: Final = 30_000  # Jira's own default is 32,767 characters

# The colour of a result's letters, and of the ground behind a headline.
_COLOURS: Final = {
    Tone.GOOD: ("#006644", "#e3fcef"),
    Tone.NEUTRAL: ("#42526e", "#deebff"),
    Tone.WARNING: ("#974f0c", "#fffae6"),
    Tone.BAD: ("#bf2600", "#ffebe6"),
}

# A hyphen is escaped within words too, since a bare issue key becomes a link. Two backslashes are a line
# break, so a backslash can only be written as its entity.
_ESCAPES: Final = str.maketrans({char: "\\" + char for char in "{}|[]!*_-+^~?#@&<>()"} | {"\\": "&#92;"})
# http://, mailto:, :D, and at the end before markup of ours; not the colon of a sentence.
_LINK_COLON: Final = r"(:+)(\S|$)"
_LINE_MARKUP: Final = r"^(\s*(?:h[1-6]|bq))\."
_BARE_HOST: Final = r"(?i)\b(www)\."


def dress(report: Report) -> str:
    """Return wiki text of at most LIMIT characters, the marker as its last line."""
    return fit(report, _render, LIMIT)


def escape(line: str) -> str:
    """Return one line of foreign text that Jira shows as it is."""
    escaped = line.translate(_ESCAPES)
    escaped = re2.sub(_LINK_COLON, lambda found: "\\:" * len(found[1]) + found[2], escaped)
    escaped = re2.sub(_LINE_MARKUP, r"\1\\.", escaped)
    return str(re2.sub(_BARE_HOST, r"\1\\.", escaped))


def _render(report: Report, left_out: int) -> str:
    parts = [f"{{panel:bgColor={_COLOURS[report.tone][1]}}}\n*{escape(report.headline)}*\n{{panel}}"]
    if report.intro:
        parts.append("\n".join(escape(line) for line in report.intro.split("\n")))
    if report.rows:
        parts.append(_table(report))
    if left_out:
        parts.append(f"{left_out} more Engines not shown")
    if report.facts:
        parts.append("\n".join(f"* *{escape(name)}*: {escape(value)}" for name, value in report.facts))
    if report.advice:
        parts.append("*What to do*\n" + "\n".join(f"* {escape(advice)}" for advice in report.advice))
    if report.details:
        # The form in brackets shows the address as it is, and nothing in it becomes markup.
        parts.append(f"Details: [{report.details}]")
    # Not escaped, since it is looked for in this very text: hyphens between small letters and digits are
    # neither markup nor an issue key, whose project is written in capitals.
    parts.append(report.marker)
    return "\n\n".join(parts)


def _table(report: Report) -> str:
    lines = ["||Engine||Result||Meaning||"]
    for row in report.rows:
        result = f"{{color:{_COLOURS[row.tone][0]}}}*{escape(row.result)}*{{color}}"
        lines.append(f"|{escape(row.engine)}|{result}|{escape(row.meaning)}|")
    return "\n".join(lines)
