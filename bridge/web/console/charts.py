"""Draws traffic as stacked bars: where each bar stands in the picture, and the table that says the same.

It must not count: it is given the counts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bridge.charting import Last
from bridge.ledger.traffic import MATCHED, Step, Traffic
from bridge.models import DeliveryState, RunState

# The picture's own units: it is stretched to the room that there is.
HEIGHT: Final = 100.0
COLUMN: Final = 10.0
_GAP: Final = 1.5
# What is there at all is seen: one unknown run among thousands.
_LEAST: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """What is drawn as one: what it is called, its colour, and the labels in it; None: all others."""

    words: str
    tone: str
    labels: frozenset[str] | None


DELIVERIES: Final = (
    Group(words="led to a run", tone="good", labels=frozenset({MATCHED})),
    Group(words="wait to be judged", tone="busy", labels=frozenset({DeliveryState.PENDING})),
    Group(words="asked for nothing", tone="plain", labels=None),
)
RUNS: Final = (
    Group(words="answered", tone="good", labels=frozenset({RunState.ANSWERED})),
    Group(
        words="under way",
        tone="busy",
        labels=frozenset({RunState.QUEUED, RunState.CLAIMED, RunState.SENDING}),
    ),
    Group(
        words="held, unknown or dead",
        tone="warning",
        labels=frozenset({RunState.HELD, RunState.UNKNOWN, RunState.DEAD}),
    ),
    Group(words="refused", tone="bad", labels=frozenset({RunState.REFUSED})),
    Group(words="expired, cancelled or only recorded", tone="plain", labels=None),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A part of a column, in the picture's units."""

    x: float
    y: float
    width: float
    height: float
    tone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A step as the table says it, one number for each label of the chart."""

    since: datetime
    until: datetime
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A picture and its table; `legend` is how many each group has, `ticks` what stands below the picture."""

    bars: tuple[Bar, ...]
    width: float
    highest: int
    total: int
    legend: tuple[tuple[Group, int], ...]
    ticks: tuple[str, ...]
    labels: tuple[str, ...]
    rows: tuple[Row, ...]


def of_deliveries(traffic: Traffic, last: Last) -> Chart:
    """Return the chart of what came in."""
    return _chart(traffic.steps, [step.deliveries for step in traffic.steps], DELIVERIES, last)


def of_runs(traffic: Traffic, last: Last) -> Chart:
    """Return the chart of what ran."""
    return _chart(traffic.steps, [step.runs for step in traffic.steps], RUNS, last)


def _chart(
    steps: tuple[Step, ...], counts: list[Mapping[str, int]], groups: tuple[Group, ...], last: Last
) -> Chart:
    grouped = [_grouped(each, groups) for each in counts]
    highest = max(sum(each) for each in grouped)
    labels = tuple(
        label for label in dict.fromkeys(name for each in counts for name in each) if _any(counts, label)
    )
    return Chart(
        bars=tuple(
            bar
            for number, each in enumerate(grouped)
            for bar in _column(number * COLUMN, each, groups, highest)
        ),
        width=len(steps) * COLUMN,
        highest=highest,
        total=sum(map(sum, grouped)),
        legend=tuple((group, sum(each[n] for each in grouped)) for n, group in enumerate(groups)),
        ticks=_ticks(steps, last),
        labels=labels,
        rows=tuple(
            Row(
                since=step.since,
                until=step.until,
                numbers=tuple(each.get(label, 0) for label in labels),
            )
            for step, each in zip(reversed(steps), reversed(counts), strict=True)
        ),
    )


def _any(counts: list[Mapping[str, int]], label: str) -> bool:
    return any(each.get(label) for each in counts)


def _grouped(counts: Mapping[str, int], groups: tuple[Group, ...]) -> list[int]:
    named = frozenset().union(*(group.labels for group in groups if group.labels is not None))
    return [
        sum(number for label, number in counts.items() if _is_in(label, group, named)) for group in groups
    ]


def _is_in(label: str, group: Group, named: frozenset[str]) -> bool:
    return label not in named if group.labels is None else label in group.labels


def _column(x: float, numbers: list[int], groups: tuple[Group, ...], highest: int) -> list[Bar]:
    """Return the bars of a step from the ground up; what it takes to see small ones, the largest gives."""
    heights = [max(_LEAST, HEIGHT * number / highest) if number else 0.0 for number in numbers]
    largest = heights.index(max(heights))
    heights[largest] -= max(0.0, sum(heights) - HEIGHT)
    bars, top = [], HEIGHT
    for group, height in zip(groups, heights, strict=True):
        if height:
            top -= height
            bars.append(
                Bar(
                    x=x + _GAP / 2,
                    y=round(top, 2),
                    width=COLUMN - _GAP,
                    height=round(height, 2),
                    tone=group.tone,
                )
            )
    return bars


def _ticks(steps: tuple[Step, ...], last: Last) -> tuple[str, ...]:
    """Return what stands below the first, the middle and the last step."""
    form = "%H:%M" if last is not Last.WEEK else "%d %b"
    middle = steps[len(steps) // 2].since
    return f"{steps[0].since:{form}}", f"{middle:{form}}", "now"
