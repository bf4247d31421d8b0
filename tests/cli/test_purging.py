"""`bridge purge`: what has been kept long enough."""

from datetime import timedelta

from sqlalchemy import update

from bridge.bootstrap import utc_now
from bridge.ledger.tables import comments, deliveries


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


def test_what_was_erased_is_told_by_why_and_by_sample(home):
    with home.ledger() as opened:
        delivery = opened.arrive("jira-approved.json")["delivery"]
        run = opened.answer()
        opened.ledger.write(lambda tx: tx.connection.execute(update(comments).values(state="posted")))
    home.run("erase", "--person", "Ada Example", "--reason", "request 17")
    shown = home.run("why", "SUP-101").stdout
    assert "what the mappings saw was removed (`bridge purge` or `bridge erase`)" in shown
    assert f"run {run} is answered, see `bridge runs show {run}`" in shown
    assert "was removed (by `bridge erase`, or after" in home.run("sample", delivery, code=1).stderr
