"""The page of outcomes says what the program says."""

from pathlib import Path

import pytest

from bridge.comments.waiting_words import EXPIRED_WORDS, HELD_WORDS, WITHDRAWN_WORDS
from bridge.comments.wording import (
    CALL_WORDS,
    ENGINE_WORDS,
    ERROR_WORDS,
    NO_WORD,
    PROBLEM_WORDS,
    EngineWords,
    Words,
)
from bridge.nexthink.act import PROVEN_REFUSALS

PAGE = Path(__file__).parents[2] / "docs" / "outcomes.md"


def section(title: str) -> set[tuple[str, ...]]:
    """Return the rows of the table under a title, without its head."""
    _, _, rest = PAGE.read_text("utf-8").partition(f"\n## {title}\n")
    lines = [line for line in rest.partition("\n## ")[0].splitlines() if line.startswith("|")]
    return {tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines[2:]}


def test_every_engine_code_stands_on_the_page_as_the_ticket_says_it() -> None:
    def row(code: str, words: EngineWords) -> tuple[str, ...]:
        return code, words.result, words.meaning, words.way_out

    expected = {row(f"`{code}`", words) for code, words in ENGINE_WORDS.items()}
    assert section("What an Engine answers") == expected | {row("no entry", NO_WORD)}


@pytest.mark.parametrize(
    ("title", "table"),
    [
        ("What Nexthink refuses", ERROR_WORDS),
        ("Why a call had no answer that counts", CALL_WORDS),
        ("Why nothing was sent for a ticket", PROBLEM_WORDS),
        ("Why a run waits", HELD_WORDS),
        ("Why a run expires", EXPIRED_WORDS),
        ("Why a run is withdrawn", WITHDRAWN_WORDS),
    ],
)
def test_every_code_and_reason_stands_on_the_page_as_the_ticket_says_it(
    title: str, table: dict[str, Words]
) -> None:
    assert section(title) == {(f"`{name}`", words.what, words.way_out) for name, words in table.items()}


def test_the_statuses_that_prove_a_refusal_stand_on_the_page() -> None:
    statuses = ", ".join(str(status) for status in PROVEN_REFUSALS)
    assert (f"{statuses} with any body", "`refused`", "no") in section("What an answer proves")
