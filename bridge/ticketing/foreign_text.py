"""What text from tickets, Engines and devices may bring into a comment, before any markup is considered.

It must not escape for a ticket system; each dress does that for its own markup.
"""

import dataclasses
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from typing import Final

from bridge.models import Report
from bridge.ticketing import marks

_NOTHING: Final = "—"  # an empty cell breaks a wiki table, and an empty text node is invalid in ADF
_MAX_ROWS: Final = 500  # more never fit, and need not be cleaned
_MAX_FACTS: Final = 20
_MAX_ADVICE: Final = 8
# Longest first: a text as long as it came where all fits, and shorter texts before fewer rows.
_TEXT_LENGTHS: Final = (1000, 300, 80)

# Marks that turn the direction of what follows, and characters that are read by machines but not seen.
_UNSEEN: Final = frozenset(
    chain(
        (0x061C, 0x200B, 0x200E, 0x200F, 0x2060, 0xFEFF),
        range(0x202A, 0x202F),
        range(0x2061, 0x2070),
        range(0xFFF9, 0xFFFC),
        range(0xE0000, 0xE0080),
    )
)


def clean(text: str) -> str:
    """Drop control characters, direction overrides, invisible characters and halves of surrogate pairs."""
    if text.isascii() and text.isprintable():
        return text
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n").replace("\u2029", "\n")
    return "".join(
        char
        for char in lines.replace("\t", " ")
        if char == "\n" or (ord(char) not in _UNSEEN and unicodedata.category(char) not in {"Cc", "Cs"})
    )


def cut(text: str, length: int) -> str:
    """Shorten a text to at most `length` characters, showing that it was."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def one_line(text: str, length: int) -> str:
    """Return clean text on one line, never empty, with no marker of ours in it."""
    # Cut before cleaning too: a message of a megabyte must not cost a megabyte of work for each attempt.
    words = " ".join(clean(text[: 4 * length]).split())
    shown = words if len(text) <= 4 * length else words + "…"
    return cut(marks.broken_up(shown), length) or _NOTHING


def fit(report: Report, render: Callable[[Report, int], str], limit: int) -> str:
    """Render a report in at most `limit` characters: texts are cut first, then rows; the marker stays.

    `render` gets a report whose texts are clean and cut, and the number of rows that were left out.
    """
    marks.required(report.marker)
    for length in _TEXT_LENGTHS[:-1]:
        if len(report.rows) <= _MAX_ROWS:
            whole = render(_trimmed(report, length), 0)
            if _size(whole) <= limit:
                return whole
    for length in _TEXT_LENGTHS[1:]:
        shorter = _Fitting(_trimmed(report, length), len(report.rows), render)
        if shorter.size(0) <= limit:
            break
    # The shortest texts always fit: their numbers and lengths are bounded.
    return shorter.rendered(shorter.most_rows(limit))


@dataclass(frozen=True, slots=True)
class _Fitting:
    """A trimmed report, which may be rendered with fewer rows than the `total` that there are."""

    report: Report
    total: int
    render: Callable[[Report, int], str]

    def rendered(self, rows: int) -> str:
        shown = dataclasses.replace(self.report, rows=self.report.rows[:rows])
        return self.render(shown, self.total - len(shown.rows))

    def size(self, rows: int) -> int:
        return _size(self.rendered(rows))

    def most_rows(self, limit: int) -> int:
        """Return the most rows that fit."""
        fits, too_many = 0, len(self.report.rows) + 1
        while too_many - fits > 1:
            middle = (fits + too_many) // 2
            if self.size(middle) <= limit:
                fits = middle
            else:
                too_many = middle
        return fits


def _size(text: str) -> int:
    """Return a length as the ticket systems count it, in UTF-16 units: an emoji is two."""
    return len(text.encode("utf-16-le")) // 2


def _trimmed(report: Report, length: int) -> Report:
    """Return a report of clean texts, each at most `length` long; the intro keeps its lines."""
    return dataclasses.replace(
        report,
        headline=one_line(report.headline, length),
        intro=_paragraphs(report.intro, length) if report.intro else None,
        rows=tuple(
            dataclasses.replace(
                row,
                engine=one_line(row.engine, length),
                result=one_line(row.result, min(length, 60)),
                meaning=one_line(row.meaning, length),
            )
            for row in report.rows[:_MAX_ROWS]
        ),
        facts=tuple(
            (one_line(name, min(length, 60)), one_line(value, length))
            for name, value in report.facts[:_MAX_FACTS]
        ),
        advice=tuple(one_line(advice, length) for advice in report.advice[:_MAX_ADVICE]),
    )


def _paragraphs(text: str, length: int) -> str | None:
    lines = (one_line(line, length) for line in clean(cut(text, length)).split("\n") if line.strip())
    return "\n".join(lines) or None
