"""`bridge purge`: what has been kept long enough."""

from datetime import timedelta

from sqlalchemy import update

from bridge.bootstrap import utc_now
from bridge.ledger.tables import deliveries


def test_a_dry_run_counts_and_changes_nothing(home):
    with home.ledger() as opened:
        opened.arrive("jira-approved.json")
        long_ago = utc_now() - timedelta(days=31)
        opened.ledger.write(
            lambda tx: tx.connection.execute(
                update(deliveries).values(received_at=long_ago, state="evaluated")
            )
        )
    for _ in range(2):
        shown = home.run("purge", "--dry-run").stdout
        assert shown.startswith("that would go:")
        assert "payloads of deliveries  1" in shown
    assert "payloads of deliveries  1" in home.run("purge").stdout
    assert "payloads of deliveries  0" in home.run("purge").stdout
