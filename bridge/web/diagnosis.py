"""Judges the ledger's figures for health: what passes, what to look at, what keeps webhooks from being taken.

It must not read a clock or the ledger, and holds names, counts and times only, never ticket text.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from bridge.ledger.in_force import MAPPING_SET_FACT
from bridge.ledger.queries import Figures, Total
from bridge.models import CallState, CommentState, Pause, PauseScope, RunState
from bridge.vitals import COMMITTED_WITHIN, Snapshot
from bridge.watching import REFUSED_FACT

# Figures older than this many seconds say nothing of now.
STALE_SECONDS = 15.0
# What waits longer than this shows that too little is working, or nothing.
QUEUE_WAIT = timedelta(minutes=5)
COMMENT_WAIT = timedelta(minutes=15)
# Rows are sealed every second where a worker lives, unless somebody touched the seals.
SEAL_WAIT = timedelta(minutes=1)
# What ended badly is warned of for this long; it stays in the metrics, and in the run.
REMEMBERED = timedelta(hours=24)


class Health(StrEnum):
    """`fail` means that no webhook can be taken; `warn` that they are, and something needs a person."""

    PASS = "pass"  # noqa: S105 - the word of the health format
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One finding; `name` is `component:what`, `component` the portal, source or mapping it is about."""

    name: str
    status: Health
    value: float | str | None = None
    unit: str | None = None
    component: str | None = None
    at: datetime | None = None
    output: str | None = None


def not_ready(*, commits: bool, has_mapping_set: bool) -> tuple[str, ...]:
    """Return why no traffic should come here; empty where it may. Nexthink and the workers do not count."""
    found = []
    if not commits:
        found.append(f"no probe row was committed in the last {COMMITTED_WITHIN:.0f} seconds")
    if not has_mapping_set:
        found.append("no mapping set was ever accepted")
    return tuple(found)


def overall(checks: tuple[Check, ...]) -> Health:
    """Return the worst of all findings."""
    found = {check.status for check in checks}
    return next((status for status in (Health.FAIL, Health.WARN) if status in found), Health.PASS)


def diagnose(
    snapshot: Snapshot | None, *, commit_age: float | None, has_mapping_set: bool
) -> tuple[Check, ...]:
    """Return every finding; `commit_age` is the seconds since a probe was committed."""
    commits = commit_age is not None and commit_age <= COMMITTED_WITHIN
    checks = [
        Check(
            name="ledger:commit_age",
            status=Health.PASS if commits else Health.FAIL,
            value=None if commit_age is None else round(commit_age, 1),
            unit="s",
        )
    ]
    if snapshot is None:
        checks.append(Check(name="ledger:figures_age", status=Health.FAIL, output="no answer yet"))
        return tuple(checks)
    figures = snapshot.figures
    stale = snapshot.age > STALE_SECONDS
    checks.append(
        Check(
            name="ledger:figures_age",
            status=Health.FAIL if stale else Health.PASS,
            value=round(snapshot.age, 1),
            unit="s",
            at=figures.now,
        )
    )
    checks.append(_workers(snapshot.workers))
    checks += _mapping_sets(figures, has_mapping_set)
    checks += _queue(figures)
    checks += _runs(figures)
    checks += _comments(figures)
    checks += _portals(figures)
    checks += _sources(figures)
    checks += _refused(figures)
    checks.append(_audit(figures))
    checks.append(_age("audit:unsealed", figures.now, figures.audit_unsealed.oldest, SEAL_WAIT))
    return tuple(checks)


def _count(name: str, value: int, *, warns: bool = False) -> Check:
    return Check(name=name, status=Health.WARN if warns else Health.PASS, value=value)


def _audit(figures: Figures) -> Check:
    return Check(
        name="audit:newest_seal",
        status=Health.WARN if figures.audit_broken else Health.PASS,
        value=figures.audit_sealed,
        output="somebody changed the audit, and no worker seals it (see `bridge audit verify`)"
        if figures.audit_broken
        else None,
    )


def _workers(alive: int) -> Check:
    return Check(
        name="workers:alive",
        status=Health.PASS if alive else Health.WARN,
        value=alive,
        output=None if alive else "nothing is sent and no comment is written: start `bridge worker`",
    )


def _mapping_sets(figures: Figures, has_mapping_set: bool) -> Iterator[Check]:
    facts = {fact.name: fact for fact in figures.facts}
    in_force, refused = facts.get(MAPPING_SET_FACT), facts.get(REFUSED_FACT)
    yield Check(
        name="mappings:in_force",
        status=Health.PASS if has_mapping_set else Health.FAIL,
        value=in_force.value if in_force else None,
        at=in_force.at if in_force else None,
        output=None if in_force else "no mapping set was ever accepted",
    )
    if refused is not None:
        count = len(refused.value.splitlines())
        yield Check(
            name="mappings:refused",
            status=Health.WARN,
            value=count,
            unit="problems",
            at=refused.at,
            output="newer files were refused (see `bridge check`)",
        )


def _queue(figures: Figures) -> Iterator[Check]:
    states = dict(figures.runs)
    yield _count("queue:runs", states.get(RunState.QUEUED, 0))
    yield _age("queue:oldest_run", figures.now, figures.oldest_due, QUEUE_WAIT)
    yield _count("queue:deliveries_pending", figures.pending_deliveries)
    yield _age("queue:oldest_delivery", figures.now, figures.oldest_pending, QUEUE_WAIT)
    yield _count("queue:comments", figures.comments_owed)
    yield _age("queue:oldest_comment", figures.now, figures.oldest_owed, COMMENT_WAIT)


def _age(name: str, now: datetime, since: datetime | None, limit: timedelta) -> Check:
    waited = now - since if since is not None else timedelta()
    status = Health.WARN if waited > limit else Health.PASS
    return Check(name=name, status=status, value=round(waited.total_seconds(), 1), unit="s", at=since)


def _runs(figures: Figures) -> Iterator[Check]:
    states = dict(figures.runs)
    yield _count("runs:sending", states.get(RunState.SENDING, 0))
    for state in (RunState.UNKNOWN, RunState.HELD):
        count = states.get(state, 0)
        yield _count(f"runs:{state}", count, warns=count > 0)
    for held in figures.held:
        next_at = held.next_at
        yield Check(
            name="runs:held_for",
            status=Health.WARN,
            value=held.count,
            component=held.reason,
            output=f"the first goes on, or expires, at {next_at:%Y-%m-%d %H:%M} UTC" if next_at else None,
        )
    dead = [each for each in _totals(figures, "run") if each.label == RunState.DEAD]
    yield _count("runs:dead", states.get(RunState.DEAD, 0), warns=_lately(figures.now, dead))


def _comments(figures: Figures) -> Iterator[Check]:
    totals = _totals(figures, "comment")
    closed = (*totals, *_totals(figures, "change"))
    lost = [each for each in closed if each.label == CommentState.UNDELIVERABLE]
    yield _count("comments:undeliverable", figures.undeliverable, warns=_lately(figures.now, lost))
    for each in totals:
        if each.label == CommentState.POSTED:
            yield Check(
                name="comments:last_good",
                status=Health.PASS,
                value=each.last_at.isoformat(timespec="seconds"),
                component=each.name,
                at=each.last_at,
            )


def _portals(figures: Figures) -> Iterator[Check]:
    calls = _totals(figures, "call")
    for portal in sorted({each.name for each in calls}):
        mine = [each for each in calls if each.name == portal]
        newest = max(mine, key=lambda each: each.last_at)
        good = next((each for each in mine if each.label == CallState.ANSWERED), None)
        yield Check(
            name="portals:last_good_call",
            # A Nexthink that does not answer keeps nobody from being heard, so it is never a failure here.
            status=Health.PASS if newest.label == CallState.ANSWERED else Health.WARN,
            value=good.last_at.isoformat(timespec="seconds") if good else None,
            component=portal,
            at=newest.last_at,
            output=None if newest.label == CallState.ANSWERED else f"the last call ended as {newest.label}",
        )
    failed = _totals(figures, "lookup")
    for portal in sorted({each.name for each in failed}):
        newest = max((each for each in failed if each.name == portal), key=lambda each: each.last_at)
        later = [each for each in calls if each.name == portal and each.last_at > newest.last_at]
        yield Check(
            name="portals:lookups",
            status=Health.PASS if later else Health.WARN,
            value=sum(each.count for each in failed if each.name == portal),
            component=portal,
            at=newest.last_at,
            output=None if later else f"devices cannot be looked up: {newest.label} (see `bridge doctor`)",
        )
    for pause in figures.pauses:
        yield Check(
            name="pauses",
            status=Health.WARN,
            value=pause.reason,
            component=_paused(pause),
            at=pause.at,
            output=f"nothing of it is sent until {_end(pause)} (see `bridge pauses`)",
        )


def _paused(pause: Pause) -> str:
    """Return what a pause stops; a pattern of device names is for `bridge pauses` only."""
    value = "" if pause.scope is PauseScope.DEVICES else pause.value
    return f"{pause.scope}:{value}".rstrip(":")


def _sources(figures: Figures) -> Iterator[Check]:
    for each in figures.sources:
        if each.last_at is None:
            continue
        silent = each.silent(figures.now)
        yield Check(
            name="sources:silence",
            status=Health.WARN if silent else Health.PASS,
            value=round((figures.now - each.last_at).total_seconds()),
            unit="s",
            component=each.source,
            at=each.last_at,
            output="no webhook for longer than usual: look at the sender" if silent else None,
        )


def _end(pause: Pause) -> str:
    return f"{pause.expires_at:%Y-%m-%d %H:%M} UTC" if pause.expires_at else "a person lifts the pause"


def _refused(figures: Figures) -> Iterator[Check]:
    for source in sorted({each.name for each in figures.refused}):
        mine = [each for each in figures.refused if each.name == source]
        yield Check(
            name="webhooks:refused",
            status=Health.PASS,
            value=sum(each.count for each in mine),
            component=source,
            at=max(each.last_at for each in mine),
        )


def _totals(figures: Figures, kind: str) -> list[Total]:
    return sorted((each for each in figures.totals if each.kind == kind), key=lambda each: each.name)


def _lately(now: datetime, totals: list[Total]) -> bool:
    return any(now - each.last_at < REMEMBERED for each in totals)
