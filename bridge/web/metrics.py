"""Exposes the ledger's figures to Prometheus: the same numbers whichever web process is asked.

It must not count anything itself, nor carry a ticket, a device or a person in a label.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from importlib.metadata import version

from flask import Blueprint, Response, request
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from bridge.ledger.in_force import MAPPING_SET_FACT
from bridge.ledger.queries import Figures, Total
from bridge.models import CallState, CommentState, PauseScope
from bridge.vitals import Snapshot, Vitals
from bridge.watching import REFUSED_FACT

# What the ledger counts by (kind), and the metric with its two labels.
_COUNTED = {
    "delivery": ("bridge_deliveries_total", "Deliveries by what they asked for.", ("source", "result")),
    "read": ("bridge_ticket_reads_failed_total", "Tickets that could not be read.", ("source", "reason")),
    "run": ("bridge_run_transitions_total", "Runs that reached a state.", ("mapping", "state")),
    "call": ("bridge_calls_total", "Act calls that ended.", ("portal", "result")),
    "lookup": ("bridge_lookups_failed_total", "Look-ups of devices that failed.", ("portal", "reason")),
    "engine": ("bridge_engine_answers_total", "Answers of single Engines.", ("portal", "code")),
    "trip": (
        "bridge_limit_trips_total",
        "Pauses that the bridge made because a limit held run after run.",
        ("scope", "value"),
    ),
    "sign_in": ("bridge_sign_ins_total", "Tries to sign in at the console.", ("way", "result")),
    "comment": ("bridge_comments_total", "Comments that were closed.", ("source", "result")),
    "change": ("bridge_ticket_changes_total", "Changes of tickets that were closed.", ("source", "result")),
}
_LAST_GOOD = {
    "call": ("bridge_last_good_call_timestamp_seconds", "The last answered Act call.", "portal"),
    "comment": ("bridge_last_good_comment_timestamp_seconds", "The last posted comment.", "source"),
}
_GOOD = {"call": CallState.ANSWERED.value, "comment": CommentState.POSTED.value}


class LedgerCollector(Collector):
    """Turns the newest snapshot into metrics at every scrape."""

    def __init__(self, vitals: Vitals) -> None:
        self._vitals = vitals

    def describe(self) -> Iterable[Metric]:
        """Describe nothing in advance, so that registering asks for no snapshot."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield every metric; before the first snapshot only whether the ledger commits."""
        yield _gauge(
            "bridge_ledger_writable", "1 where a probe was committed lately.", self._vitals.commits()
        )
        info = GaugeMetricFamily("bridge_info", "The running version.", labels=("version",))
        info.add_metric((version("nexthink-ticket-bridge"),), 1)
        yield info
        snapshot = self._vitals.snapshot()
        if snapshot is not None:
            yield from _of_snapshot(snapshot)


def blueprint(*, vitals: Vitals) -> Blueprint:
    """Return `/metrics`, in the text format or OpenMetrics, as the scraper asks."""
    door = Blueprint("metrics", __name__)
    registry = CollectorRegistry()
    registry.register(LedgerCollector(vitals))

    @door.get("/metrics")
    def metrics() -> Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return Response(encode(registry), content_type=content_type)

    return door


def _gauge(name: str, documentation: str, value: float) -> Metric:
    return GaugeMetricFamily(name, documentation, value=float(value))


def _of_snapshot(snapshot: Snapshot) -> Iterator[Metric]:
    figures = snapshot.figures
    yield _gauge("bridge_figures_timestamp_seconds", "When these figures were read.", figures.now.timestamp())
    yield _gauge("bridge_workers_alive", "Worker sessions with a fresh beat.", snapshot.workers)
    states = GaugeMetricFamily(
        "bridge_runs", "Runs that have not ended, and dead ones, by state.", labels=("state",)
    )
    for state, count in figures.runs:
        states.add_metric((state,), count)
    yield states
    held = GaugeMetricFamily("bridge_runs_held", "Held runs, by what they wait for.", labels=("reason",))
    for one in figures.held:
        held.add_metric((one.reason,), one.count)
    yield held
    yield from _waiting(figures)
    yield from _standing(figures)
    yield from _sources(figures)
    yield from _counters(figures)
    yield from _last_good(figures)


def _waiting(figures: Figures) -> Iterator[Metric]:
    yield _gauge(
        "bridge_queue_oldest_seconds",
        "How long the oldest due run has waited.",
        _seconds(figures.now, figures.oldest_due),
    )
    yield _gauge(
        "bridge_deliveries_pending", "Deliveries that wait to be evaluated.", figures.pending_deliveries
    )
    yield _gauge("bridge_comments_owed", "Comments and changes not written yet.", figures.comments_owed)
    yield _gauge(
        "bridge_comments_oldest_seconds",
        "How long the oldest owed comment has waited.",
        _seconds(figures.now, figures.oldest_owed),
    )
    yield _gauge(
        "bridge_comments_undeliverable", "Comments and changes that no ticket took.", figures.undeliverable
    )


def _standing(figures: Figures) -> Iterator[Metric]:
    paused = GaugeMetricFamily(
        "bridge_paused", "1 for each pause, by what is not sent.", labels=("scope", "value", "reason")
    )
    for pause in figures.pauses:
        # A pattern of device names says more of devices than a metric may.
        value = "" if pause.scope is PauseScope.DEVICES else pause.value
        paused.add_metric((pause.scope, value, pause.reason), 1)
    yield paused
    facts = {fact.name: fact for fact in figures.facts}
    in_force = facts.get(MAPPING_SET_FACT)
    if in_force is not None:
        info = GaugeMetricFamily(
            "bridge_mapping_set_info", "1 for the mapping set in force.", labels=("hash",)
        )
        info.add_metric((in_force.value,), 1)
        yield info
        yield _gauge("bridge_mapping_set_timestamp_seconds", "When it was accepted.", in_force.at.timestamp())
    yield _gauge("bridge_mapping_set_refused", "1 while newer files are refused.", REFUSED_FACT in facts)
    yield _gauge("bridge_audit_sealed_segment", "The newest sealed segment.", figures.audit_sealed)
    yield _gauge("bridge_audit_broken", "1 where the newest seal was changed.", figures.audit_broken)
    yield _gauge("bridge_audit_unsealed", "Audit rows that no seal covers yet.", figures.audit_unsealed.count)


def _sources(figures: Figures) -> Iterator[Metric]:
    silence = GaugeMetricFamily(
        "bridge_source_silence_seconds", "How long a source has sent no webhook.", labels=("source",)
    )
    silent = GaugeMetricFamily(
        "bridge_source_silent", "1 where that is longer than is usual for it.", labels=("source",)
    )
    reconciled = GaugeMetricFamily(
        "bridge_source_reconciled_timestamp_seconds",
        "Up to when a source was asked for what never arrived.",
        labels=("source",),
    )
    for each in figures.sources:
        if each.last_at is not None:
            silence.add_metric((each.source,), _seconds(figures.now, each.last_at))
        silent.add_metric((each.source,), float(each.silent(figures.now)))
        if each.reached_at is not None:
            reconciled.add_metric((each.source,), each.reached_at.timestamp())
    yield from (silence, silent, reconciled)


def _counters(figures: Figures) -> Iterator[Metric]:
    for kind, (name, documentation, labels) in _COUNTED.items():
        yield _counter(name, documentation, labels, (each for each in figures.totals if each.kind == kind))
    yield _counter(
        "bridge_webhooks_refused_total", "Webhooks that were refused.", ("source", "reason"), figures.refused
    )


def _counter(name: str, documentation: str, labels: tuple[str, str], totals: Iterable[Total]) -> Metric:
    family = CounterMetricFamily(name, documentation, labels=labels)
    for each in sorted(totals, key=lambda each: (each.name, each.label)):
        family.add_metric((each.name, each.label), each.count)
    return family


def _last_good(figures: Figures) -> Iterator[Metric]:
    for kind, (name, documentation, label) in _LAST_GOOD.items():
        family = GaugeMetricFamily(name, documentation, labels=(label,))
        for each in figures.totals:
            if each.kind == kind and each.label == _GOOD[kind]:
                family.add_metric((each.name,), each.last_at.timestamp())
        yield family


def _seconds(now: datetime, since: datetime | None) -> float:
    return 0.0 if since is None else max(0.0, (now - since).total_seconds())
