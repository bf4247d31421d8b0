"""The demo from the first line to the last process, and how it reads comments."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.demo import reading
from bridge.demo.house import shipped
from bridge.models import EngineRow, Report, Tone
from bridge.ticketing.jira import adf
from bridge.ticketing.servicenow import note

REPORT = Report(
    headline="Accepted by 1 of 2 Engines",
    tone=Tone.WARNING,
    intro="For Ada <b>.",
    rows=(
        EngineRow(engine="engine-1", result="Accepted", tone=Tone.GOOD, meaning="The Engine took it."),
        EngineRow(engine="e2", result="Not connected", tone=Tone.BAD, meaning="word " * 40),
    ),
    facts=(("Devices", "WS-ABC-12345"), ("Run", "r1")),
    advice=("Look into Nexthink.",),
    marker="bridge-r1-answered-1",
)


def test_both_systems_comments_read_the_same():
    of_jira = reading.of_jira(json.loads(adf.dress(REPORT)))
    of_servicenow = reading.of_servicenow(note.dress(REPORT, code_tags=True))
    assert of_jira == of_servicenow
    assert of_jira[0] == "Accepted by 1 of 2 Engines"
    assert of_jira[-1] == "bridge-r1-answered-1"
    assert "For Ada <b>." in of_jira
    assert "  • Devices: WS-ABC-12345" in of_jira


def test_a_table_stands_in_columns_and_its_last_one_is_wrapped():
    lines = reading.of_servicenow(note.dress(REPORT, code_tags=True))
    start = lines.index("Engine    Result         Meaning")
    assert lines[start + 2] == "engine-1  Accepted       The Engine took it."
    assert lines[start + 3].startswith("e2        Not connected  word word")
    assert lines[start + 4].startswith(" " * 25 + "word")
    assert max(map(len, lines)) <= 96


def demo(tmp_path, *arguments, **variables):
    return subprocess.Popen(
        [sys.executable, "-m", "bridge", "demo", *arguments],
        cwd=tmp_path,
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def folder_of(text):
    found = re.search(r"starting in (\S+)", text)
    assert found, text
    return Path(found[1])


@pytest.mark.journey
def test_the_demo_shows_both_comments_and_leaves_nothing_behind(tmp_path, ended):
    # What stands in the folder that it is started from must not matter.
    (tmp_path / ".env").write_text("BRIDGE_NOT_A_SETTING=1\n")
    (tmp_path / "app.py").write_text("raise SystemExit('the wrong application')\n")
    process = ended(demo(tmp_path, "--once"))
    text, errors = process.communicate(timeout=90)
    assert process.returncode == 0, text + errors
    assert errors == ""
    for ticket in ("SUP-101", "INC0010001"):
        assert f"the bridge wrote into {ticket}:" in text
    assert text.count("│ engine-emea-1  Accepted") == 2
    assert not folder_of(text).exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".env", "app.py"]


@pytest.mark.journey
def test_the_demo_stays_up_until_it_is_told_to_end(tmp_path, ended, until):
    process = ended(demo(tmp_path))
    text = ""
    while "Ctrl-C ends it all." not in text:
        line = process.stdout.readline()
        assert line, text + process.stderr.read()
        text += line
    folder = folder_of(text)
    assert f"cd {folder}" in text
    command = [sys.executable, "-m", "bridge", "why", "SUP-101"]
    done = subprocess.run(command, check=True, cwd=folder, capture_output=True, text=True, timeout=30)
    assert "office-repair-when-approved: fires" in done.stdout
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    assert not folder.exists()
    assert not subprocess.run(["pgrep", "-f", str(folder)], check=False, capture_output=True).stdout


@pytest.mark.journey
def test_a_demo_that_cannot_go_on_says_why_and_keeps_the_logs(tmp_path, ended):
    # A module of this name is found before the real one, and breaks the web process.
    (tmp_path / "gunicorn.py").write_text("raise SystemExit('no web process today')\n")
    process = ended(demo(tmp_path, "--once", PYTHONPATH=str(tmp_path), TMPDIR=str(tmp_path)))
    text, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "the web process has ended with 1:\nno web process today" in text
    folder = folder_of(text)
    assert f"The logs are in {folder}" in text
    assert (folder / "web.log").exists()
    assert not subprocess.run(["pgrep", "-f", str(folder)], check=False, capture_output=True).stdout


def test_what_the_demo_needs_is_shipped_with_the_code():
    assert (shipped("mappings") / "actions.yaml").exists()
    assert shipped("gunicorn.conf.py").exists()
