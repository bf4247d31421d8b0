"""Commands that stop sending and let it go on: `pause`, `resume`, `pauses`.

They must not change the ledger by themselves; every one goes through `Operations`.
"""

from datetime import timedelta

import click

from bridge import describing, scopes
from bridge.cli.opening import bridge_to_act, ledger_to_read
from bridge.cli.options import DurationParam, act_of, json_option, reason_option, scope_arguments
from bridge.cli.showing import as_json, line, moment, note
from bridge.cli.tables import table
from bridge.ledger import pausing
from bridge.models import PauseScope

_IN_FILES = (PauseScope.MAPPING, PauseScope.ACTION)


@click.command()
@scope_arguments
@click.option(
    "--for",
    "lasting",
    metavar="DURATION",
    type=DurationParam(longest=scopes.LONGEST),
    help="Until it ends by itself, such as 30m, 2h or 7d. Default: until it is resumed.",
)
@reason_option
def pause(scope: str, value: str, lasting: timedelta | None, reason: str, author: str | None) -> None:
    """Send nothing of a scope to Nexthink, on any host, until it is resumed or its time is over.

    SCOPE is everything, source, mapping, action, portal, engine or devices. VALUE is a name; for engine also
    a UID, for devices a pattern for whole names. Webhooks are taken all the while; what becomes too old
    meanwhile expires.
    """
    act = act_of(author, reason)
    with bridge_to_act() as bridge:
        # Before the act: what is only said about it must not let it look as if it had failed.
        mapping_set = bridge.watching.look_up()
        made = bridge.operations.pause(PauseScope(scope), value, lasting=lasting, act=act)
    if mapping_set is None and made.scope in _IN_FILES:
        note(
            f"no mapping set is in force that this version can read, so nobody knows whether '{value}' exists"
        )
    until = f"until {moment(made.expires_at)}" if made.expires_at else "until it is resumed"
    line(f"{pausing.named(made)} is paused {until}. What is under way already is not called back.")
    if expiring := describing.outlasting(made, mapping_set):
        line(expiring)


@click.command()
@scope_arguments
@reason_option
def resume(scope: str, value: str, reason: str, author: str | None) -> None:
    """Lift a pause, and queue what it held; ages, limits and approvals are looked at again."""
    act = act_of(author, reason)
    with bridge_to_act() as bridge:
        count = bridge.operations.resume(PauseScope(scope), value, act=act)
    line(f"{f'{scope} {value}'.strip()} is open again, runs queued: {count}")


@click.command()
@json_option
def pauses(for_programs: bool) -> None:
    """List what is paused, by whom, why, and until when."""
    with ledger_to_read() as ledger:
        found = ledger.read(pausing.standing)
    if for_programs:
        as_json(found)
        return
    table(
        ("scope", "value", "since", "until", "by", "reason"),
        [
            (
                one.scope,
                one.value or "-",
                moment(one.at),
                moment(one.expires_at) if one.expires_at else "it is resumed",
                one.author or "the bridge",
                f"{one.reason}: {one.detail}" if one.detail else one.reason,
            )
            for one in found
        ],
    )
