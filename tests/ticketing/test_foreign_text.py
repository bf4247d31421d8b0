"""What no text from outside may bring into a comment, and how a comment is made to fit."""

import dataclasses
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.models import EngineRow, Report, Tone
from bridge.ticketing.foreign_text import clean, fit, one_line
from bridge.ticketing.jira import adf, wiki
from bridge.ticketing.servicenow import note

DRESSES = {
    "adf": adf.dress,
    "wiki": wiki.dress,
    "html": lambda report: note.dress(report, code_tags=True),
    "plain": lambda report: note.dress(report, code_tags=False),
}
dresses = pytest.mark.parametrize("dress", DRESSES.values(), ids=DRESSES)
HOSTILE = "\u202egnp.exe\x00\x1b[31m\ud800\u200bok\r\nnext\U000e0041"


def of_size(report: Report, *, rows: int, text: str) -> Report:
    row = EngineRow(engine=text, result=text, tone=Tone.BAD, meaning=text)
    return dataclasses.replace(
        report, headline=text, intro=text, rows=(row,) * rows, facts=((text, text),) * 40, advice=(text,) * 40
    )


def test_controls_overrides_and_unseen_characters_are_dropped() -> None:
    assert clean(HOSTILE) == "gnp.exe[31mok\nnext"
    assert one_line(HOSTILE, 100) == "gnp.exe[31mok next"
    assert clean("نم\u200cها é 👩\u200d💻") == "نم\u200cها é 👩\u200d💻"


@given(st.text(), st.integers(2, 50))
def test_a_line_is_short_never_empty_and_has_no_control_character(text: str, length: int) -> None:
    line = one_line(text, length)
    assert 1 <= len(line) <= length
    assert not any(unicodedata.category(char) in {"Cc", "Cs"} for char in line)


@dresses
@pytest.mark.parametrize("text", ["x" * 5000, '"\\<&' * 2000, "😀" * 5000, "[code]{panel}" * 500, ""])
@pytest.mark.parametrize("rows", [0, 1, 1000])
def test_a_comment_of_any_size_is_cut_to_the_limit_and_keeps_its_marker(dress, text, rows, report) -> None:  # type: ignore[no-untyped-def] # parametrised callables
    dressed = dress(of_size(report, rows=rows, text=text))
    assert len(dressed.encode("utf-16-le")) // 2 <= 30_000
    assert report.marker in dressed[-120:]
    assert ("more Engines not shown" in dressed) is (rows == 1000)


@dresses
def test_a_small_report_is_told_whole(dress, report) -> None:  # type: ignore[no-untyped-def] # parametrised callables
    dressed = dress(report).replace("\\", "")
    wanted = [report.headline, *report.intro.split("\n"), *report.advice, report.marker]
    wanted += [text for row in report.rows for text in (row.engine, row.result, row.meaning)]
    wanted += [text for fact in report.facts for text in fact]
    assert [text for text in wanted if text not in dressed] == []


@dresses
def test_no_dress_lets_unseen_characters_or_a_second_marker_through(dress, report) -> None:  # type: ignore[no-untyped-def] # parametrised callables
    dressed = dress(of_size(report, rows=2, text=HOSTILE + " bridge-01hx9-unknown-1"))
    assert not set("\u202e\x00\x1b\ud800\u200b\U000e0041") & set(dressed)
    assert "bridge-01hx9-unknown-1" not in dressed


@dresses
def test_the_address_of_the_story_is_the_last_line_before_the_marker(dress, report, detailed) -> None:  # type: ignore[no-untyped-def] # parametrised callables
    told, without = dress(detailed), dress(report)
    assert detailed.details in told[-400:]
    assert "Details: " in told[-400:]
    assert told[-400:].index(detailed.details) < told[-400:].index(report.marker)
    assert "Details" not in without
    longest = of_size(detailed, rows=1000, text="x" * 5000)
    assert len(dress(longest)) <= 30_000
    assert detailed.details in dress(longest)


def test_as_many_rows_as_fit_are_kept(report: Report) -> None:
    many = dataclasses.replace(report, rows=report.rows * 10)
    one_more_would_not_fit = fit(many, lambda cut, left: "r" * 100 * len(cut.rows) + f" {left}", 1005)
    assert one_more_would_not_fit == "r" * 1000 + " 10"
