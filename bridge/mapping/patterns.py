"""Regular expressions that cannot run away (RE2), for what an admin writes and a ticket is held against.

It must not know what a pattern is for, nor use another engine.
"""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import re2

# What may stand next to a word in running text; a name that goes on beyond a match is another name.
_NAME_CHARACTERS = "-_"


class PatternError(ValueError):
    """A text is no regular expression of RE2; the message says why."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled expression; equal where the texts are."""

    text: str
    ignore_case: bool
    _compiled: Any = field(repr=False, compare=False)
    _word: Any = field(repr=False, compare=False)

    def whole(self, text: str) -> bool:
        """Say whether the whole text matches."""
        return self._compiled.fullmatch(_encodable(text)) is not None

    def anywhere(self, text: str) -> bool:
        """Say whether the text matches somewhere."""
        return self._compiled.search(_encodable(text)) is not None

    def words(self, text: str) -> Iterator[str]:
        """Yield each match that is a whole word: `WS-1` is none in `OLD-WS-1` or `WS-1.example.com`."""
        clean = _encodable(text)
        for match in self._word.finditer(clean):
            start, end = match.span()
            if start < end and not _goes_on(clean, start - 1, -1) and not _goes_on(clean, end, 1):
                yield match.group(0)


def compiled(text: str, *, ignore_case: bool = False) -> Pattern:
    """Return the pattern of a text; raise PatternError where RE2 does not take it."""
    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = not ignore_case
    try:
        return Pattern(
            text, ignore_case, re2.compile(text, options), re2.compile(rf"\b(?:{text})\b", options)
        )
    except re2.error as error:
        reason = error.args[0] if error.args else "not a regular expression"
        raise PatternError(reason.decode() if isinstance(reason, bytes) else str(reason)) from None
    except UnicodeError:
        raise PatternError("it has a character that is no text") from None


def control_character(text: str) -> str | None:
    """Return the first character that shows nothing or steers a screen, as `U+000A`, or None."""
    for character in text:
        category = unicodedata.category(character)
        if category[0] == "C" or category in ("Zl", "Zp"):
            return f"U+{ord(character):04X}"
    return None


def _encodable(text: str) -> str:
    """Replace lone surrogates, which RE2 cannot be given."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _goes_on(text: str, position: int, direction: int) -> bool:
    """Say whether a name goes on at a position: a letter, digit, '-', '_', or a dot with more behind it."""
    if not 0 <= position < len(text):
        return False
    character = text[position]
    if character == ".":
        beyond = position + direction
        return 0 <= beyond < len(text) and text[beyond].isalnum()
    return character.isalnum() or character in _NAME_CHARACTERS
