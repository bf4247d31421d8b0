"""Health: a failure only where no webhook can be taken, a warning where something needs a person."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bridge.errors import Reason
from bridge.ledger.auditing import Unsealed
from bridge.ledger.choosing import Held
from bridge.ledger.queries import Fact, Figures, Total
from bridge.models import Pause, PauseScope, RunState
from bridge.serving import create_app
from bridge.vitals import Snapshot
from bridge.web.diagnosis import Health, diagnose, not_ready, overall

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


def total(kind: str, name: str, label: str, minutes_ago: float = 1, count: int = 1) -> Total:
    last_at = NOW - timedelta(minutes=minutes_ago)
    return Total(kind=kind, name=name, label=label, count=count, last_at=last_at)


def figures(**given: Any) -> Figures:
    values: dict[str, Any] = {
        "now": NOW,
        "runs": (),
        "held": (),
        "oldest_due": None,
        "pending_deliveries": 0,
        "oldest_pending": None,
        "comments_owed": 0,
        "oldest_owed": None,
        "undeliverable": 0,
        "sessions": (),
        "pauses": (),
        "audit_sealed": 1,
        "audit_unsealed": Unsealed(count=0, oldest=None),
        "audit_broken": False,
        "sources": (),
        "facts": (Fact(name="mapping_set", value="5f3a", at=NOW),),
        "totals": (),
        "refused": (),
    }
    return Figures(**{**values, **given})


def paused(scope: str, value: str, reason: Reason) -> Pause:
    return Pause(
        id=1,
        scope=PauseScope(scope),
        value=value,
        reason=reason,
        author=None,
        detail=None,
        at=NOW,
        expires_at=None,
        run=None,
    )


def diagnosed(
    *, workers: int = 1, age: float = 0.5, commit_age: float | None = 1.0, has_set: bool = True, **given: Any
) -> tuple[Health, dict[str, list[tuple[Health, Any]]]]:
    """Return the overall status, and (status, value) of every finding that does not pass."""
    snapshot = Snapshot(figures=figures(**given), workers=workers, age=age)
    checks = diagnose(snapshot, commit_age=commit_age, has_mapping_set=has_set)
    found: dict[str, list[tuple[Health, Any]]] = {}
    for check in checks:
        if check.status is not Health.PASS:
            found.setdefault(check.name, []).append((check.status, check.value))
    return overall(checks), found


def test_all_is_well() -> None:
    assert diagnosed() == (Health.PASS, {})


WARNINGS: dict[str, tuple[dict[str, Any], str]] = {
    "no worker": ({"workers": 0}, "workers:alive"),
    "an unknown outcome": ({"runs": ((RunState.UNKNOWN, 1),)}, "runs:unknown"),
    "a held run": ({"runs": ((RunState.HELD, 2),)}, "runs:held"),
    "a run that died today": ({"totals": (total("run", "m", "dead"),)}, "runs:dead"),
    "a comment lost today": (
        {"totals": (total("comment", "jira", "undeliverable"),)},
        "comments:undeliverable",
    ),
    "a long queue": ({"oldest_due": NOW - timedelta(minutes=6)}, "queue:oldest_run"),
    "a late comment": ({"oldest_owed": NOW - timedelta(minutes=16)}, "queue:oldest_comment"),
    "refused files": (
        {
            "facts": (
                Fact(name="mapping_set", value="5f3a", at=NOW),
                Fact(name="mapping_set_refused", value="a\nb", at=NOW),
            )
        },
        "mappings:refused",
    ),
    "a paused portal": (
        {"pauses": (paused("portal", "main", Reason.UNAUTHORIZED),)},
        "pauses",
    ),
    "runs that wait for approval": (
        {"held": (Held(reason=Reason.AWAITING_APPROVAL, count=2, next_at=None),)},
        "runs:held_for",
    ),
    "a tripped limit": (
        {"pauses": (paused("everything", "", Reason.LIMIT_TRIPPED),)},
        "pauses",
    ),
    "a Nexthink that does not answer": (
        {"totals": (total("call", "main", "answered", 60), total("call", "main", "not_connected"))},
        "portals:last_good_call",
    ),
    "a Nexthink that never answered": (
        {"totals": (total("call", "main", "not_connected"),)},
        "portals:last_good_call",
    ),
    "devices that cannot be looked up": (
        {"totals": (total("lookup", "main", "lookup_failed"),)},
        "portals:lookups",
    ),
}


@pytest.mark.parametrize("case", WARNINGS)
def test_what_needs_a_person_warns_and_keeps_us_in_rotation(case: str) -> None:
    given, name = WARNINGS[case]
    status, found = diagnosed(**given)
    assert status is Health.WARN
    assert list(found) == [name]
    assert not_ready(commits=True, has_mapping_set=True) == ()


def test_a_look_up_that_failed_is_no_concern_once_a_call_was_made() -> None:
    failed = total("lookup", "main", "lookup_failed", minutes_ago=2)
    called = total("call", "main", "answered", minutes_ago=1)
    status, found = diagnosed(totals=(failed, called))
    assert (status, list(found)) == (Health.PASS, [])


def test_it_is_said_when_the_first_held_run_goes_on() -> None:
    held = Held(reason=Reason.OVER_LIMIT, count=3, next_at=NOW)
    snapshot = Snapshot(figures=figures(held=(held,)), workers=1, age=0.5)
    checks = diagnose(snapshot, commit_age=1.0, has_mapping_set=True)
    (output,) = (check.output for check in checks if check.name == "runs:held_for")
    assert output == "the first goes on, or expires, at 2026-01-01 12:00 UTC"


FAILURES: dict[str, tuple[dict[str, Any], str]] = {
    "no probe lately": ({"commit_age": 5.1}, "ledger:commit_age"),
    "no probe ever": ({"commit_age": None}, "ledger:commit_age"),
    "old figures": ({"age": 15.1}, "ledger:figures_age"),
    "no mapping set": ({"has_set": False, "facts": ()}, "mappings:in_force"),
}


@pytest.mark.parametrize("case", FAILURES)
def test_what_keeps_webhooks_out_fails(case: str) -> None:
    given, name = FAILURES[case]
    status, found = diagnosed(**given)
    assert status is Health.FAIL
    assert list(found) == [name]


@pytest.mark.parametrize(
    "given",
    [
        {"totals": (total("run", "m", "dead", 24 * 60 + 1),), "runs": ((RunState.DEAD, 1),)},
        {"totals": (total("comment", "jira", "undeliverable", 24 * 60 + 1),), "undeliverable": 1},
        {"totals": (total("call", "main", "not_connected", 60), total("call", "main", "answered"))},
        {"oldest_due": NOW - timedelta(minutes=4), "oldest_owed": NOW - timedelta(minutes=14)},
        {"refused": (total("refused", "jira", "bad_signature"),)},
    ],
)
def test_what_is_over_or_may_still_be_well_does_not_warn(given: dict[str, Any]) -> None:
    assert diagnosed(**given) == (Health.PASS, {})


def test_no_worker_is_told_with_the_way_out_and_calls_under_way_are_counted() -> None:
    snapshot = Snapshot(figures=figures(runs=((RunState.SENDING, 3),)), workers=0, age=0.5)
    checks = {check.name: check for check in diagnose(snapshot, commit_age=1.0, has_mapping_set=True)}
    assert "start `bridge worker`" in str(checks["workers:alive"].output)
    assert (checks["runs:sending"].status, checks["runs:sending"].value) == (Health.PASS, 3)


def test_a5_not_ready_says_why() -> None:
    reasons = not_ready(commits=False, has_mapping_set=False)
    assert len(reasons) == 2
    assert "probe" in reasons[0]
    assert "mapping set" in reasons[1]


def test_a_process_that_has_not_started_is_alive_and_not_ready(
    environment: Callable[..., dict[str, str]], opened: Any, tmp_path: Path
) -> None:
    with opened(tmp_path) as web:
        given = environment(f"sqlite:///{tmp_path}/bridge.sqlite3")
        client = create_app(given).test_client()
        assert client.get("/livez").status_code == 200
        ready = client.get("/readyz")
        assert ready.status_code == 503
        assert len(ready.json["notes"]) == 2
        assert client.get("/health").status_code == 503
        assert client.get("/metrics").status_code == 200
        assert web.get("/readyz").status_code == 200


def test_health_lists_what_happened_in_the_health_format(
    web: Any, sender: Any, work: Callable[..., Any]
) -> None:
    _, body = sender.created(customfield_10052="canary-field")
    web.post(body)
    web.app.test_client().post("/webhooks/jira", data=b"{}")
    work(web.ledger)
    web.soon(lambda: "portals:last_good_call" in web.get("/health").json["checks"])
    web.soon(lambda: "webhooks:refused" in web.get("/health").json["checks"])
    response = web.get("/health")
    assert response.status_code == 200
    assert response.content_type == "application/health+json"
    assert b"canary" not in response.data
    checks = response.json["checks"]
    assert checks["portals:last_good_call"][0]["componentId"] == "main"
    assert checks["workers:alive"] == [{"observedValue": 1, "status": "pass"}]
    assert checks["queue:comments"][0]["observedValue"] == 1
    assert checks["webhooks:refused"][0]["componentId"] == "jira"
    assert response.headers["Cache-Control"] == "no-store"


def test_a_pattern_of_device_names_is_not_told_to_whoever_asks_for_health() -> None:
    snapshot = Snapshot(
        figures=figures(pauses=(paused("devices", "WS-BOARD-.*", Reason.BY_OPERATOR),)), workers=1, age=0.5
    )
    checks = diagnose(snapshot, commit_age=1.0, has_mapping_set=True)
    assert [check.component for check in checks if check.name == "pauses"] == ["devices"]
