"""Configured sources, a report, and samples, for the tests of every ticket system."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bridge.models import (
    Delivery,
    EngineRow,
    Json,
    Occasion,
    OwedComment,
    Report,
    SourceName,
    Tone,
    Visibility,
)

SAMPLES = Path(__file__).parent.parent / "samples"
MARKER = "bridge-01hx9-answered-1"


@pytest.fixture
def sample() -> Callable[[str], Json]:
    return lambda name: json.loads((SAMPLES / f"{name}.json").read_text("utf-8"))


@pytest.fixture
def delivered(sample: Callable[[str], Json]) -> Callable[[Json], Delivery]:
    """Return a verified delivery of a payload, or of the sample of that name."""

    def deliver(payload: Json) -> Delivery:
        content = sample(payload) if isinstance(payload, str) else payload
        return Delivery(
            source=SourceName("desk"),
            key="k",
            digest="0" * 64,
            timed=True,
            payload=content,
            received_at=datetime(2026, 5, 28, 20, 26, 41, tzinfo=UTC),
        )

    return deliver


@pytest.fixture
def report() -> Report:
    return Report(
        headline="Request accepted by 1 of 2 Engines",
        tone=Tone.WARNING,
        intro="Office repair for 1 device.\nAsked by Rita.",
        rows=(
            EngineRow(engine="engine-a", result="Accepted", tone=Tone.GOOD, meaning="The Engine took it."),
            EngineRow(engine="engine-b", result="Not connected", tone=Tone.BAD, meaning="Nothing ran there."),
        ),
        facts=(("Action", "Repair Office"), ("Devices", "WS-ABC-12345"), ("Run", "01hx9")),
        advice=("Ask an administrator to connect the Engine.",),
        marker=MARKER,
    )


@pytest.fixture
def owed() -> Callable[..., OwedComment]:
    def make(text: str = "text", visibility: Visibility = Visibility.INTERNAL) -> OwedComment:
        return OwedComment(occasion=Occasion.ANSWERED, n=1, marker=MARKER, text=text, visibility=visibility)

    return make
