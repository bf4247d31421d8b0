"""What Nexthink and Jira do: every kind of bad answer, too many requests, credentials that are refused.

It must not touch the ledger or a process of the bridge.
"""

from typing import Any

from bench.chaos.invariants import ELSEWHERE
from bench.chaos.stage import COMMENT, RUN, Stage
from bridge.ledger import pausing
from bridge.sandbox.client import Control, SandboxError

MANY = 100_000
# Longer than the longest deadline that a call of this house has.
PAST_EVERY_DEADLINE_SECONDS = 60.0
# A proxy may say any of these whether the request went through or not.
DOUBTFUL = (201, 202, 204, 300, 304, 307, 308, 500, 501, 502, 503, 504, 507, 520, 599)
REFUSING = (400, 403, 404, 405, 408, 409, 413, 418, 422, 425, 429)
# A ticket system that says one of these is asked again; others are an end, for which `gone` stands.
LATER = (408, 409, 425, 429)
BAD_ANSWERS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("reset_on_connect", {}),
    ("reset_before_read", {}),
    ("reset_after_read", {}),
    ("reset_mid_body", {}),
    ("short_body", {}),
    ("bad_chunks", {}),
    ("drip_head", {"seconds": 1.0}),
    ("drip_body", {"seconds": 1.0}),
    ("delay", {"seconds": PAST_EVERY_DEADLINE_SECONDS}),
    ("garbage", {}),
    ("html", {}),
    ("empty", {}),
    ("huge", {"size": 64 * 1024 * 1024}),
    ("gzip_bomb", {"size": 256 * 1024 * 1024}),
    ("endless", {}),
)


def spoil_a_call(stage: Stage) -> None:
    """One Act call meets a fault of any kind."""
    _spoil(stage, stage.bridge.nexthink, {"path": RUN}, REFUSING)


def spoil_a_comment(stage: Stage) -> None:
    """One request about a ticket's comments, a post or a search, meets a fault of any kind."""
    _spoil(stage, stage.bridge.jira, {"path": "*/comment"}, LATER)


def _spoil(stage: Stage, system: Control, where: dict[str, Any], refusing: tuple[int, ...]) -> None:
    kind, options = stage.chance.choice(
        (
            *BAD_ANSWERS,
            ("redirect", {"location": f"{stage.bridge.sandbox.jira_url}{ELSEWHERE}"}),
            *(("status", {"status": status}) for status in stage.chance.sample(DOUBTFUL, 6)),
            *(("status", {"status": status}) for status in stage.chance.sample(refusing, 4)),
        )
    )
    if options.get("status") not in refusing and not kind.startswith("reset_on"):
        options = options | {"carried_out": stage.chance.choice((True, False))}
    _ask(system, kind, **where, **options)
    stage.did[kind] += 1


def storm(stage: Stage) -> None:
    """Most requests get 429 and are told to come again later."""
    for system, where in ((stage.bridge.nexthink, {"path": RUN}), (stage.bridge.jira, COMMENT)):
        if len(system.call("GET", "faults")) < 2:
            times = stage.chance.randint(3, 9)
            wait = str(stage.chance.randint(1, 2))
            system.fault("status", status=429, retry_after=wait, times=times, skip=1, **where)
            stage.did["429 in a row"] += times


def refuse_credentials(stage: Stage) -> None:
    """Our accounts are refused everywhere for some seconds, with work in hand."""
    for system in (stage.bridge.nexthink, stage.bridge.jira):
        system.fault("status", status=401, times=MANY)
    try:
        stage.pause(2.0, 5.0)
    finally:
        for system in (stage.bridge.nexthink, stage.bridge.jira):
            system.clear_faults()
    stage.did["credentials refused"] += 1


def release_portals(stage: Stage) -> None:
    """What an operator does when the account works again."""
    for pause in stage.bridge.ledger.read(pausing.standing):
        command(stage, "release", "--portal", pause.value, "--reason", "the account works again")


def command(stage: Stage, *arguments: str) -> None:
    """Run the command line as an operator does; that it fails is a breach."""
    done = stage.bridge.command(*arguments)
    if done.returncode:
        stage.breaches.append(f"bridge {arguments[0]}: {done.stderr.strip()[-300:]}")
    stage.did[f"bridge {arguments[0]}"] += 1


def _ask(system: Control, kind: str, **options: Any) -> None:
    try:
        system.fault(kind, **options)
    except SandboxError:
        # The connection that was to be reset was our own.
        system.fault(kind, **options)
