"""Writes the scripts of the ServiceNow kit beside the page that names them, for whoever sends every column.

It must not hold a script of its own.
"""

from pathlib import Path

from bridge.kits import servicenow
from bridge.settings import read_settings

DOCS = Path(__file__).parent

if __name__ == "__main__":
    made_up = read_settings({}, DOCS.parent / ".ci" / "check.env")
    (source,) = (source for source in made_up.sources if source.name == "servicenow")
    address = "https://bridge.example.com/webhooks/servicenow"
    (DOCS / "servicenow-business-rule.js").write_text(servicenow.rule(servicenow.EVERYTHING))
    (DOCS / "servicenow-outbox-job.js").write_text(servicenow.job(source, address))
