"""Leaks no secret: every secret of the settings is looked for wherever something is kept, said or shown."""

import json
import urllib.error
import urllib.request
from typing import Any

import pytest

from bench.chaos.invariants import SECRETS, leaks, ledger_bytes
from bridge.models import RunState
from bridge.sandbox import credentials as known

pytestmark = pytest.mark.journey

# Text that a person typed into a ticket: it may be in the ledger and in no log, metric or health.
TYPED = "canary-of-a-ticket-7f3c"


def test_every_secret_of_the_settings_is_looked_for(bridge):
    """A setting with a secret that this file does not know would make the other test blind."""
    given = {
        name: value
        for name, value in bridge.environ.items()
        if name.endswith(("PASSWORD", "TOKEN", "SECRETS"))
    }
    plain = {
        secret for value in given.values() for secret in (json.loads(value) if value[0] == "[" else [value])
    }
    assert plain == set(SECRETS)


def test_no_secret_is_in_a_log_the_ledger_a_comment_a_metric_health_or_the_page(bridge, key_numbers):
    keys = [f"SUP-{next(key_numbers)}" for _ in range(6)]
    scripts: list[dict[str, Any]] = [
        {},
        {"kind": "reset_after_read"},
        {"kind": "html"},
        {"kind": "redirect", "location": "http://user:pass@redirected.example/"},
        {"kind": "status", "status": 500},
        {"kind": "status", "status": 403},
    ]
    devices = ["WS-ABC-12345", "WS-ABC-23456", "WS-ABC-34567", *(f"WS-LAB-0000{n}" for n in (1, 2, 3))]
    for key, device, script in zip(keys, devices, scripts, strict=True):
        if script:
            bridge.nexthink.fault(path="/api/remoteaction/*", **script)
        bridge.ticket(key=key, devices=(device,), summary=f"Word closes {TYPED}")
        bridge.reaches(key, RunState.ANSWERED, RunState.UNKNOWN, RunState.REFUSED)
        # A comment that is still to come would meet the fault that is set for the last one.
        bridge.soon(lambda key=key: bridge.comments(key))
    # Wrong proofs of every kind, each with a secret of ours in the wrong place.
    for source in ("jira", "datacenter", "automation", "servicenow", "nowhere"):
        wrong = known.basic("svc.bridge", known.JIRA_WEBHOOK_SECRET)
        status = refused(
            bridge, source, Authorization=wrong, **{"X-Hub-Signature": known.JIRA_WEBHOOK_SECRET}
        )
        assert status in {401, 404}
    # A ticket system that refuses us, and one that does not answer.
    bridge.jira.fault("status", status=401, method="POST", path="*/comment")
    last = f"SUP-{next(key_numbers)}"
    bridge.ticket(key=last, devices=("WS-LAB-00004",), summary=TYPED)
    bridge.reaches(last, RunState.ANSWERED)
    bridge.soon(lambda: bridge.story(last).comments[0].reason is not None)
    run = bridge.story(keys[0]).run.id

    logs = bridge.logs()
    assert "call.ended" in logs
    assert leaks(logs, TYPED) == []
    held = ledger_bytes(bridge)
    assert TYPED in held
    assert leaks(held) == []
    comments = json.dumps(bridge.jira.comments())
    assert "Accepted by the Engine" in comments
    assert leaks(comments) == []
    for path in ("/metrics", "/health", "/readyz", "/livez"):
        status_, body = bridge.ask(path)
        assert (status_, leaks(body.decode(), TYPED)) == (200, []), path
    for path in ("/", f"/runs/{run}"):
        assert leaks(bridge.ask(path)[1].decode()) == [], path


def test_no_secret_is_shown_at_the_command_line(bridge, key, device):
    bridge.ticket(key=key, devices=(device,))
    story = bridge.reaches(key, RunState.ANSWERED)
    for arguments in (("config",), ("runs", "show", story.run.id)):
        said = bridge.command(*arguments)
        assert said.returncode == 0, said.stderr
        assert leaks(said.stdout + said.stderr) == [], arguments


def refused(bridge: Any, source: str, **headers: str) -> int:
    request = urllib.request.Request(
        bridge.webhook_url(source),
        data=json.dumps({"issue": {"key": TYPED}}).encode(),
        headers={"Content-Type": "application/json", **headers},
    )
    try:
        with bridge.opener.open(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            body = error.read().decode()
            assert leaks(body) == []
            return error.code
