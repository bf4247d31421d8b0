"""`bridge kit`: what it prints, for which mappings, and what it says where it cannot."""

from pathlib import Path
from typing import Any

import pytest


def test_a_kit_is_printed_with_the_address_of_the_settings_and_no_secret(home: Any) -> None:
    home.write_settings(BRIDGE_PUBLIC_URL="https://bridge.example.org")
    printed = home.run("kit", "servicenow").stdout
    assert "https://bridge.example.org/webhooks/servicenow" in printed
    assert "(function executeRule(current, previous) {" in printed
    assert "(function sendOutbox() {" in printed
    secrets = home.settings.sources[1].secrets + home.settings.sources[0].secrets
    assert not [secret for secret in secrets if secret.get_secret_value() in printed]


def test_a_kit_is_json_for_programs(home: Any) -> None:
    made = home.json("kit", "jira")
    assert made["address"] == "https://YOUR-BRIDGE/webhooks/jira"
    assert [step["title"] for step in made["steps"]] == ["Webhook", "What the mappings read", "Try it"]


def test_a_kit_serves_other_mapping_files_where_they_are_named(home: Any, tmp_path: Path) -> None:
    folder = tmp_path / "others"
    folder.mkdir()
    shipped = home.folder / "mappings"
    (folder / "actions.yaml").write_text((shipped / "actions.yaml").read_text())
    one = (shipped / "servicenow-incident.yaml").read_text().partition("\ntests:")[0]
    (folder / "one.yaml").write_text(one)
    asked = home.json("kit", "servicenow", "--for", str(folder))
    (rule,) = (step for step in asked["steps"] if step["title"] == "Business rule")
    assert ["Table", "incident"] in rule["rows"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("jira-automation",), "no source of the kind jira-automation is configured"),
        (("jira", "--source", "nobody"), "there is no source nobody"),
    ],
)
def test_a_kit_that_is_for_nobody_is_refused(home: Any, arguments: tuple[str, ...], said: str) -> None:
    assert said in home.run("kit", *arguments, code=1).output
