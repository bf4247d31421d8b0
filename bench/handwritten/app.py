"""What a good engineer writes in an afternoon: verify, map, look up, call, comment, in a pool of threads.

It keeps nothing, on purpose: a restart loses what is under way, an answer that is lost is an error in the
log, and a webhook that comes twice runs twice. It must not be made better; it shows what keeping costs.
"""

import hashlib
import hmac
import json
import logging
import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests
from flask import Flask, Response, abort, request
from requests.adapters import HTTPAdapter

log = logging.getLogger(__name__)

# With two processes as many as the bridge's default of calls in flight.
THREADS = 32
SECONDS = 75
ENGINES_SECONDS = 60
MODES = {"Highest": "force", "High": "prompt"}
ACTION = "07844969-1889-4de3-9026-020af94be855"


class Nexthink:
    """One portal over one session, which keeps its connections."""

    def __init__(self, url: str, username: str, password: str) -> None:
        self._url = url
        self._session = _session(username, password)
        self._engines: list[dict[str, Any]] = []
        self._listed_at = float("-inf")

    def engines(self) -> list[dict[str, Any]]:
        """Return the connected Engines, asked for once a minute."""
        if time.monotonic() - self._listed_at > ENGINES_SECONDS:
            answer = self._session.get(f"{self._url}/api/configuration/v1/engines", timeout=SECONDS)
            answer.raise_for_status()
            self._engines = [engine for engine in answer.json() if engine["status"] == "CONNECTED"]
            self._listed_at = time.monotonic()
        return self._engines

    def find(self, name: str) -> tuple[set[str], list[str]]:
        """Return the UIDs of a device name, and the Engines that know it."""
        query = f'(select (device_uid name) (from device (where device (eq name (string "{name}")))))'
        uids, known = set(), []
        for engine in self.engines():
            answer = self._session.post(
                f"{self._url}/2/query",
                data={"query": query, "platform": "windows", "format": "json"},
                timeout=SECONDS,
            )
            answer.raise_for_status()
            rows = answer.json()
            uids |= {row["device_uid"] for row in rows}
            known += [engine["databaseUID"]] if rows else []
        return uids, known

    def run(self, key: str, devices: set[str], engines: list[str], mode: str) -> list[dict[str, Any]]:
        """Run the action and return what each Engine answered."""
        content: dict[str, Any] = {
            "requestUid": key,
            "remoteActionUid": ACTION,
            "deviceUids": sorted(devices),
            "timeoutSeconds": 60,
            "params": {"Mode": mode},
        }
        if engines:
            content["engineDatabaseUids"] = engines
        answer = self._session.post(f"{self._url}/api/remoteaction/v2/run", json=content, timeout=SECONDS)
        answer.raise_for_status()
        results: list[dict[str, Any]] = answer.json()
        return results


class Jira:
    """Writes comments over one session."""

    def __init__(self, url: str, username: str, password: str) -> None:
        self._url = url
        self._session = _session(username, password)

    def comment(self, issue: str, text: str, lines: list[str]) -> None:
        """Add an internal comment: a paragraph and a list."""
        items = [{"type": "listItem", "content": [_paragraph(line)]} for line in lines]
        content = [_paragraph(text), {"type": "bulletList", "content": items}]
        answer = self._session.post(
            f"{self._url}/rest/api/3/issue/{issue}/comment",
            json={
                "body": {"version": 1, "type": "doc", "content": content},
                "properties": [{"key": "sd.public.comment", "value": {"internal": True}}],
            },
            timeout=30,
        )
        answer.raise_for_status()


def create_app() -> Flask:
    """Return the application, set up from the environment."""
    url, username, password = (os.environ[name] for name in ("UPSTREAM", "ACCOUNT", "PASSWORD"))
    secret = os.environ["WEBHOOK_SECRET"].encode()
    nexthink, jira = Nexthink(url, username, password), Jira(url, username, password)
    pool = ThreadPoolExecutor(THREADS)
    logging.basicConfig(level=logging.INFO)
    app = Flask(__name__)

    @app.post("/webhooks/jira")
    def webhook() -> dict[str, str]:
        body = request.get_data()
        wanted = "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(wanted, request.headers.get("X-Hub-Signature", "")):
            abort(401)
        event = json.loads(body)
        issue = event["issue"]
        created = event["webhookEvent"] == "jira:issue_created"
        if created and issue["fields"]["project"]["key"] == "SUP" and issue["fields"]["labels"]:
            pool.submit(_repair, nexthink, jira, issue)
        return {"status": "accepted"}

    @app.get("/livez")
    def live() -> Response:
        return Response()

    return app


def _repair(nexthink: Nexthink, jira: Jira, issue: dict[str, Any]) -> None:
    key, fields = issue["key"], issue["fields"]
    device = fields["customfield_10051"]
    try:
        by_name = "by-name" in fields["labels"]
        uids, engines = nexthink.find(device) if by_name else ({device}, [])
        mode = MODES.get(fields["priority"]["name"], "silent")
        results = nexthink.run(key, uids, engines, mode)
        lines = [f"{result['databaseUid']}: {result['code']} {result['message']}" for result in results]
        jira.comment(
            issue["id"], f"Office repair for {device}, asked by {fields['reporter']['displayName']}", lines
        )
        log.info("repaired %s", key)
    except Exception:
        log.exception("could not repair %s", key)


def _session(username: str, password: str) -> requests.Session:
    session = requests.Session()
    session.auth = (username, password)
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(pool_maxsize=THREADS))
    return session


def _paragraph(text: str) -> dict[str, Any]:
    return {"type": "paragraph", "content": [{"type": "text", "text": text}]}


app = create_app()
