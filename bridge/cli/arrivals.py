"""Commands about what arrived: `deliveries`, `why`, `sample`.

They must not change the ledger.
"""

from collections.abc import Sequence

import click

from bridge.bootstrap import load_files
from bridge.bootstrap.outside import system
from bridge.cli import redacting, traces
from bridge.cli.opening import ledger_to_read, read_settings
from bridge.cli.options import json_option, limit_option
from bridge.cli.redacting import Redacted
from bridge.cli.showing import as_json, line, moment, note
from bridge.cli.tables import table
from bridge.errors import NotPossible
from bridge.ledger import listing, queries
from bridge.ledger.listing import WantedDeliveries, WantedRuns
from bridge.ledger.queries import DeliveryLine, Total
from bridge.models import DeliveryId, DeliveryState, Json, Outcome, Run
from bridge.settings import Settings
from bridge.ticketing.keys import as_written
from bridge.why import of_ticket, since


@click.command()
@click.option("--ticket", metavar="KEY", type=as_written, help="Only those about this ticket.")
@limit_option
@json_option
def deliveries(ticket: str | None, limit: int, for_programs: bool) -> None:
    """List the webhooks that were accepted, and what came of each."""
    with ledger_to_read() as ledger:
        found = ledger.read(
            listing.page_of_deliveries, limit=limit, wanted=WantedDeliveries(ticket=ticket)
        ).deliveries
    if for_programs:
        as_json(found)
        return
    table(
        ("delivery", "received", "source", "ticket", "result", "runs"),
        [
            (
                one.id,
                moment(one.received_at),
                one.source,
                one.ticket_key,
                one.reason or ("matched" if one.state is DeliveryState.EVALUATED else one.state),
                " ".join(_run_ids(one)) or "-",
            )
            for one in found
        ],
    )


@click.command()
@click.argument("ticket", metavar="KEY", type=as_written)
@limit_option
@json_option
def why(ticket: str, limit: int, for_programs: bool) -> None:
    """Tell what arrived about a ticket, and why it did or did not lead to an action.

    Every mapping is shown as it decided then, with the values that it saw, near misses first.
    """
    with ledger_to_read() as ledger:
        arrived = ledger.read(
            listing.page_of_deliveries, limit=limit, wanted=WantedDeliveries(ticket=ticket)
        ).deliveries
        made = ledger.read(listing.page_of_runs, limit=limit, wanted=WantedRuns(ticket=ticket)).runs
        refused = () if arrived else ledger.read(queries.refused)
    if for_programs:
        as_json({"ticket": ticket, "deliveries": arrived, "runs": made})
    elif not arrived:
        _print_nothing_arrived(ticket, refused)
    else:
        line(of_ticket(arrived, made).text)
        if latest := since(arrived, made):
            line(f"Since then: {latest.text}")
        line()
        for delivery in arrived:
            _print_delivery(delivery, made)


@click.command()
@click.argument("delivery")
@click.option("--redact", is_flag=True, help="Replace names, addresses and free texts that no mapping needs.")
def sample(delivery: str, redact: bool) -> None:
    """Print a stored delivery as a sample for a mapping's tests.

    It holds personal data as it arrived. With --redact everything but structure and what the mapping files
    read is replaced, the same text always by the same; look it over before you share it.
    """
    with ledger_to_read() as ledger:
        payload = ledger.read(queries.whole_delivery, delivery=DeliveryId(delivery)).payload
        arrived = ledger.read(queries.one_delivery, delivery=DeliveryId(delivery))
    if redact:
        redacted = _redacted(read_settings(), arrived, payload)
        payload = redacted.payload
        for text in redacted.kept:
            note(f"kept, because a mapping reads it: {text}")
        for mapping in redacted.changed:
            note(f"mapping {mapping} decides otherwise on the redacted sample")
    as_json(payload)


def _redacted(settings: Settings, arrived: DeliveryLine, payload: Json) -> Redacted:
    source = next((one for one in settings.sources if one.name == arrived.source), None)
    if source is None:
        raise NotPossible(f"source {arrived.source} is not configured, so its payload cannot be read")
    return redacting.redacted(
        payload,
        system=system(source),
        mapping_set=load_files(settings),
        received_at=arrived.received_at,
    )


def _print_nothing_arrived(ticket: str, refused: Sequence[Total]) -> None:
    line(f"Nothing that was accepted is about {ticket}.")
    line("Either its system sent nothing, or what it sent was refused at the door and not kept.")
    if refused:
        table(
            ("source", "refused for", "times", "last"),
            [(one.name, one.label, one.count, moment(one.last_at)) for one in refused],
        )


def _print_delivery(delivery: DeliveryLine, made: Sequence[Run]) -> None:
    recovered = ", recovered: no webhook brought it" if delivery.recovered else ""
    line(f"{moment(delivery.received_at)} delivery {delivery.id} from {delivery.source}{recovered}")
    if delivery.state is DeliveryState.PENDING:
        line(
            "not evaluated yet: its ticket is not read yet, or the bridge waits for its own account or for a "
            "mapping set",
            indent=2,
        )
    if delivery.reason is not None:
        line(
            f"{delivery.reason.replace('_', ' ')}{f': {delivery.detail}' if delivery.detail else ''}",
            indent=2,
        )
    elif delivery.state is DeliveryState.EVALUATED and not delivery.findings:
        line("what the mappings saw was removed (`bridge purge` or `bridge erase`)", indent=2)
        for run in made:
            if run.delivery == delivery.id:
                _print_state(run)
    for finding in delivery.findings:
        # Findings of the first release name no event.
        traces.heading(finding["mapping"], finding["outcome"], finding["mode"], finding.get("event"))
        traces.conditions(finding["conditions"])
        if finding["problem"]:
            line(finding["problem"], indent=2)
        _print_run(finding, made)
    line()


def _print_run(finding: Json, made: Sequence[Run]) -> None:
    """Print the run of a finding, or the earlier one that stands in its place (A2)."""
    if finding["outcome"] == Outcome.ALREADY_SERVED:
        line(f"no further run: run {finding['run']} was made for it before", indent=2)
    for run in made:
        if run.id == finding["run"]:
            _print_state(run)


def _print_state(run: Run) -> None:
    reason = f" ({run.reason})" if run.reason else ""
    line(f"run {run.id} is {run.state}{reason}, see `bridge runs show {run.id}`", indent=2)


def _run_ids(delivery: DeliveryLine) -> list[str]:
    return [finding["run"] for finding in delivery.findings if finding["run"]]
