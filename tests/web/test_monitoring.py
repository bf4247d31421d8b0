"""The alert rules and the dashboard against what the running web process exposes."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).resolve().parents[2]
MONITORING = ROOT / "docs" / "monitoring"
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
ALERTS = MONITORING / "alerts.yml"
RULES = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
PANELS = json.loads((MONITORING / "dashboard.json").read_text())["panels"]
SHOWN = [target["expr"] for panel in PANELS for target in panel.get("targets", ())]
EXPRESSIONS = [rule["expr"] for rule in RULES] + SHOWN


def named(expression: str) -> set[str]:
    return set(re.findall(r"\bbridge_[a-z0-9_]+", expression))


def labels(expression: str) -> Iterator[str]:
    for inside in re.findall(r"\{([^}]*)\}", expression):
        yield from re.findall(r"(\w+) *[=!]", inside)
    for grouping in re.findall(r"\bby \(([^)]*)\)", expression):
        yield from re.split(r", *", grouping)


@pytest.fixture
def exposed(web: Any) -> set[str]:
    """Return the names that a scrape brings, samples or not."""
    web.soon(lambda: "bridge_mapping_set_info{" in web.get("/metrics").text)
    families = text_string_to_metric_families(web.get("/metrics").text)
    return {family.name + "_total" * (family.type == "counter") for family in families}


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_expression_names_metrics_that_are_exposed(exposed: set[str], expression: str) -> None:
    assert named(expression)
    assert named(expression) <= exposed


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_expression_names_labels_that_its_metrics_have(expression: str) -> None:
    known = {"instance"}
    for metric in named(expression):
        (row,) = re.findall(rf"^\| `{metric}` \| ([^|]*)\|", OPERATIONS, flags=re.MULTILINE)
        known |= set(re.findall(r"\w+", row))
    assert set(labels(expression)) <= known


def test_every_metric_is_on_the_dashboard(exposed: set[str]) -> None:
    assert exposed <= set().union(*map(named, SHOWN))


def test_the_dashboard_can_be_imported_into_any_grafana() -> None:
    dashboard = json.loads((MONITORING / "dashboard.json").read_text())
    assert [variable["name"] for variable in dashboard["templating"]["list"]] == ["datasource"]
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    places = [panel["gridPos"] for panel in PANELS]
    assert len({(place["x"], place["y"]) for place in places}) == len(places)
    assert all(place["x"] + place["w"] <= 24 for place in places)
    sources = [panel["datasource"] for panel in PANELS if "targets" in panel]
    assert {source["uid"] for source in sources} == {"${datasource}"}


def test_every_alert_says_how_urgent_it_is_and_what_to_do_stands_in_the_docs() -> None:
    names = [rule["alert"] for rule in RULES]
    assert len(set(names)) == len(names)
    assert {rule["labels"]["severity"] for rule in RULES} == {"page", "ticket"}
    assert all(rule["annotations"]["summary"] for rule in RULES)
    told = OPERATIONS[OPERATIONS.index("## What to do when something warns") :]
    assert set(re.findall(r"\bBridge[A-Z]\w+", told)) == set(names)


@pytest.fixture
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("there is no promtool here (Debian: apt-get install prometheus)")
    return found


def test_promtool_takes_the_rules(promtool: str) -> None:
    done = subprocess.run(
        [promtool, "check", "rules", str(ALERTS)], check=False, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(RULES)} rules found" in done.stdout


@pytest.mark.parametrize(
    ("alert", "series", "labels", "fires"),
    [
        # A counter that was not there before, from the fifth minute on.
        (
            "BridgeRefusesItsOwnSender",
            {'bridge_webhooks_refused_total{source="jira",reason="bad_signature"}': "_x4 3x20"},
            {"source": "jira", "reason": "bad_signature", "severity": "page"},
            True,
        ),
        (
            "BridgeRefusesItsOwnSender",
            {'bridge_webhooks_refused_total{source="jira",reason="bad_signature"}': "3x40"},
            {"source": "jira", "reason": "bad_signature", "severity": "page"},
            False,
        ),
        ("BridgeRunDied", {'bridge_runs{state="dead"}': "1x80 2x20"}, {"severity": "ticket"}, True),
        ("BridgeRunDied", {'bridge_runs{state="dead"}': "2x100"}, {"severity": "ticket"}, False),
        ("BridgeTakesNoWebhooks", {}, {"severity": "page"}, True),
    ],
)
def test_alerts_fire_when_they_should(
    promtool: str, tmp_path: Path, alert: str, series: dict[str, str], labels: dict[str, str], fires: bool
) -> None:
    summary = next(rule["annotations"]["summary"] for rule in RULES if rule["alert"] == alert)
    for name, value in labels.items():
        summary = summary.replace(f"{{{{ $labels.{name} }}}}", value)
    expected = [{"exp_labels": labels, "exp_annotations": {"summary": summary}}] if fires else []
    minutes = 90 if alert == "BridgeRunDied" else 10 if fires else 30
    test = {
        "rule_files": [str(ALERTS)],
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "alert_rule_test": [{"eval_time": f"{minutes}m", "alertname": alert, "exp_alerts": expected}],
            }
        ],
    }
    file = tmp_path / "test.yml"
    file.write_text(yaml.safe_dump(test))
    done = subprocess.run(
        [promtool, "test", "rules", str(file)], check=False, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stdout + done.stderr
