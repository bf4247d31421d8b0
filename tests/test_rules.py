"""Every rule that the architecture lists has a test that bears its name, and the other way round."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_rule_is_shown_by_a_test_that_bears_its_name() -> None:
    listed = set(re.findall(r"^\| ([A-Z]\d+) \|", (ROOT / "docs/architecture.md").read_text(), re.MULTILINE))
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    shown = {rule.upper() for rule in re.findall(r"def test_([slwat]\d+)_", tests)}
    assert shown == listed
