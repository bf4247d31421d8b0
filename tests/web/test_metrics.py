"""Metrics: the ledger's figures, the same from every process, with nothing of a ticket in a label."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from bridge.errors import Reason
from bridge.ledger import Tx, auditing, in_force, pausing
from bridge.models import CallResult, CallState, PauseScope, RunId, RunState


def samples(text: str) -> dict[tuple[str, tuple[str, ...]], float]:
    """Return every sample by its name and its labels' values in alphabetical order of the values."""
    return {
        (sample.name, tuple(sorted(sample.labels.values()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_every_figure_of_the_ledger_has_its_metric(web: Any, sender: Any, work: Callable[..., Any]) -> None:
    for _ in range(3):
        web.post(sender.created()[1])
    work(web.ledger)
    lost = CallResult(state=CallState.UNKNOWN, reason=Reason.CONNECTION_LOST)
    work(web.ledger, lost, RunState.UNKNOWN)
    web.ledger.write(
        pausing.pause, scope=PauseScope.PORTAL, value="main", reason=Reason.UNAUTHORIZED, run=RunId("r1")
    )
    web.ledger.write(_tripped)
    web.ledger.write(in_force.put_fact, name="mapping_set_refused", value="a problem")
    web.app.test_client().post("/webhooks/nowhere", data=b"{}")
    web.soon(lambda: ("bridge_webhooks_refused_total", ("unknown", "unknown_source")) in _seen(web))
    web.soon(lambda: ("bridge_paused", ("main", "portal", "unauthorized")) in _seen(web))
    seen = _seen(web)
    hash_in_force = web.process.bridge.watching.mapping_set().hash
    expected = {
        ("bridge_ledger_writable", ()): 1,
        ("bridge_workers_alive", ()): 2,
        ("bridge_runs", ("queued",)): 1,
        ("bridge_runs", ("unknown",)): 1,
        ("bridge_runs", ("held",)): 0,
        ("bridge_deliveries_pending", ()): 0,
        ("bridge_comments_owed", ()): 2,
        ("bridge_comments_undeliverable", ()): 0,
        ("bridge_paused", ("main", "portal", "unauthorized")): 1,
        ("bridge_mapping_set_info", (hash_in_force,)): 1,
        ("bridge_mapping_set_refused", ()): 1,
        ("bridge_audit_sealed_segment", ()): 0,
        ("bridge_audit_broken", ()): 0,
        ("bridge_limit_trips_total", ("mapping", "office")): 1,
        ("bridge_deliveries_total", ("jira", "matched")): 3,
        ("bridge_run_transitions_total", ("queued", "teams-cache-when-chosen")): 3,
        ("bridge_run_transitions_total", ("answered", "teams-cache-when-chosen")): 1,
        ("bridge_calls_total", ("answered", "main")): 1,
        ("bridge_calls_total", ("connection_lost", "main")): 1,
        ("bridge_engine_answers_total", ("main", "ok")): 1,
        ("bridge_engine_answers_total", ("main", "not_connected")): 1,
        ("bridge_webhooks_refused_total", ("unknown", "unknown_source")): 1,
    }
    assert {name: seen.get(name) for name in expected} == expected
    assert seen["bridge_queue_oldest_seconds", ()] > 0
    assert seen["bridge_audit_unsealed", ()] > 0
    assert seen["bridge_comments_oldest_seconds", ()] > 0
    assert seen["bridge_last_good_call_timestamp_seconds", ("main",)] > 1_700_000_000
    assert not any("SUP" in label or "WS-" in label for _, labels in seen for label in labels)
    assert not any(name.endswith("_created") for name, _ in seen)


def _tripped(tx: Tx) -> None:
    tx.count("trip", PauseScope.MAPPING, "office")


def _seen(web: Any) -> dict[tuple[str, tuple[str, ...]], float]:
    return samples(web.get("/metrics").text)


def test_both_formats_are_valid_and_hold_the_same_families(web: Any) -> None:
    plain = web.get("/metrics")
    open_format = web.get("/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert plain.content_type.startswith("text/plain")
    assert open_format.content_type.startswith("application/openmetrics-text")
    assert {family.name for family in text_string_to_metric_families(plain.text)} == {
        family.name for family in openmetrics(open_format.text)
    }


def test_an_audit_whose_newest_seal_was_changed_is_seen(
    opened: Callable[..., Any], tmp_path: Path, database_url: str
) -> None:
    with opened(tmp_path, database_url) as web:
        web.soon(lambda: _seen(web).get(("bridge_audit_broken", ())) == 0)
        web.ledger.write(in_force.put_fact, name=auditing.HEAD_FACT, value="f" * 64)
        web.soon(lambda: _seen(web)["bridge_audit_broken", ()] == 1)
