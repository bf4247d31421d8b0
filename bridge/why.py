"""Says in one sentence what came of a ticket, and above all why nothing ran: the mapping that came nearest.

It must not evaluate anything: it reads what the mappings decided when the ticket arrived.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from bridge.errors import Reason
from bridge.ledger.queries import DeliveryLine
from bridge.mapping.conditions import sentence
from bridge.models import (
    ConditionTrace,
    DeliveryId,
    DeliveryState,
    Json,
    MappingId,
    Outcome,
    Run,
    RunId,
    RunState,
)

_WAITS: Final = (RunState.QUEUED, RunState.CLAIMED, RunState.HELD)
# Whoever asks wants to mend one mapping, not to read all of them.
_NAMED: Final = 3
_CONDITIONS_TOLD: Final = 2
_SENT: Final = (RunState.SENDING, RunState.ANSWERED, RunState.UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A sentence, and the run or the delivery that it is about."""

    text: str
    run: RunId | None = None
    delivery: DeliveryId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NearMiss:
    """A mapping that did not fire: how many conditions held and how many did not, and the latter told."""

    mapping: MappingId
    held: int
    short: int
    failed: tuple[str, ...]

    @property
    def distance(self) -> tuple[int, int]:
        """Rank it, the nearest lowest, as the findings are ordered."""
        return self.short, -self.held


def of_ticket(arrived: Sequence[DeliveryLine], made: Sequence[Run]) -> Answer:
    """Say what came of a ticket, by its deliveries and runs, the newest first."""
    if made:
        return _of_run(made)
    if not arrived:
        return Answer(
            text="Nothing that was accepted is about this ticket: either its system sent nothing, or what it "
            "sent was refused at the door and not kept."
        )
    if arrived[0].state is DeliveryState.PENDING:
        return of_delivery(arrived[0])
    # max takes the first of equals, which is the newest.
    return of_delivery(max(arrived, key=_nearness))


def since(arrived: Sequence[DeliveryLine], made: Sequence[Run]) -> Answer | None:
    """Say why what arrived after the newest run led to none; None where nothing did that people wonder about.

    Of several a change that was served before comes first: somebody expected it to run again.
    """
    if not made:
        return None
    # The comments that the bridge writes come back to it, and surprise nobody.
    later = [
        each
        for each in arrived
        if each.received_at > made[0].created_at and each.reason and each.reason is not Reason.OWN_CHANGE
    ]
    served = [each for each in later if each.reason is Reason.ALREADY_SERVED]
    return next((of_delivery(each) for each in (*served, *later)), None)


def of_delivery(delivery: DeliveryLine) -> Answer:
    """Say what came of a delivery."""
    return Answer(text=_came_of(delivery), delivery=delivery.id)


def nearest(findings: Json) -> tuple[NearMiss, ...]:
    """Return the mappings that came nearest to firing: those that equally few conditions kept from it."""
    misses = [_miss(finding) for finding in findings if finding["outcome"] == Outcome.MISSED]
    misses.sort(key=lambda miss: miss.distance)
    # A ticket may have seen many changes, and a mapping has missed each of them.
    by_mapping: dict[MappingId, NearMiss] = {}
    for miss in misses:
        by_mapping.setdefault(miss.mapping, miss)
    return tuple(miss for miss in by_mapping.values() if miss.short == misses[0].short)


def _of_run(made: Sequence[Run]) -> Answer:
    newest = made[0]
    about = f"of mapping {newest.mapping}, is {newest.state}{_reason(newest)}."
    states = {run.state for run in made}
    if states & set(_SENT):
        text = f"An action was asked for and sent: the newest run, {about}"
    elif states & set(_WAITS):
        text = f"An action is asked for and waits: the newest run, {about}"
    else:
        text = f"Nothing ran: the newest run, {about}"
    return Answer(text=text, run=newest.id)


def _reason(run: Run) -> str:
    said = ": ".join(part for part in (run.reason and run.reason.replace("_", " "), run.detail) if part)
    return f" ({said})" if said else ""


def _came_of(delivery: DeliveryLine) -> str:
    if delivery.state is DeliveryState.PENDING:
        return (
            "Nothing ran yet: the delivery waits until its ticket is read, or until the bridge knows its own "
            "account and has a mapping set."
        )
    match delivery.reason:
        case None:
            return "A mapping fired, and a run was made for it."
        case Reason.ALREADY_SERVED:
            return f"Nothing further ran: {delivery.detail or _served(delivery)}."
        case Reason.NO_MAPPING:
            return _no_mapping(delivery)
        case Reason.OWN_CHANGE:
            return "Nothing ran: the change was made by the bridge's own account, or carries its marker."
    why = f": {delivery.detail}" if delivery.detail else ""
    return f"Nothing ran: what arrived needs nothing ({delivery.reason.replace('_', ' ')}{why})."


def _served(delivery: DeliveryLine) -> str:
    served = [each for each in delivery.findings if each["outcome"] == Outcome.ALREADY_SERVED]
    # Findings of the first release do not say whether one run is all that a ticket may have.
    once = [each["mapping"] for each in served if each.get("once")]
    if once:
        return (
            f"{once[0]} has had its one run for this ticket (write `repeat: per_change` in the mapping where "
            "each such change is to run it)"
        )
    name = served[0]["mapping"] if served else "a mapping fired that"
    return f"{name} has had its run for this ticket or this change before"


def _no_mapping(delivery: DeliveryLine) -> str:
    empty = [each["mapping"] for each in delivery.findings if each["outcome"] == Outcome.IGNORED]
    if empty:
        return f"Nothing ran: {empty[0]} fired, but found no device for it and says that this is ignored."
    near = nearest(delivery.findings)
    if not near:
        return (
            "Nothing ran: no mapping is for such events of this source, or what the mappings saw was removed."
        )
    if len(near) == 1:
        told = f"{near[0].mapping} came nearest: {_fell_short(near[0])}."
    else:
        told = f"{_names(near)} came equally near. " + " ".join(
            f"{miss.mapping}: {_fell_short(miss)}." for miss in near[:_NAMED]
        )
    return f"Nothing ran, because no mapping fired. {told}"


def _names(near: Sequence[NearMiss]) -> str:
    named = [str(miss.mapping) for miss in near[:_NAMED]]
    if len(near) > _NAMED:
        named.append(f"{len(near) - _NAMED} more")
    return f"{', '.join(named[:-1])} and {named[-1]}"


def _fell_short(miss: NearMiss) -> str:
    failed = "; ".join(miss.failed[:_CONDITIONS_TOLD])
    if len(miss.failed) > _CONDITIONS_TOLD:
        failed += f"; and {len(miss.failed) - _CONDITIONS_TOLD} more"
    held = f"{miss.held} of its conditions held" if miss.held > 1 else "one of its conditions held"
    return f"{held}, but {failed}" if miss.held else failed


def _nearness(delivery: DeliveryLine) -> tuple[int, int, int]:
    """Rank a delivery by how near it came to a run."""
    if delivery.reason is not Reason.NO_MAPPING:
        return (-1 if delivery.reason else 2, 0, 0)
    near = nearest(delivery.findings)
    return (1, -near[0].short, near[0].held) if near else (0, 0, 0)


def _miss(finding: Json) -> NearMiss:
    conditions = finding["conditions"]
    held = sum(each["held"] is True for each in conditions)
    return NearMiss(
        mapping=MappingId(finding["mapping"]),
        held=held,
        short=len(conditions) - held,
        failed=tuple(_failed(conditions)),
    )


def _failed(conditions: Iterable[Json]) -> Iterator[str]:
    """Yield what did not hold as sentences: of a joined condition its parts say more than itself."""
    for each in conditions:
        if each["held"] is True:
            continue
        failed = tuple(_failed(each["parts"]))
        if failed:
            yield from failed
        elif each["parts"]:
            # It wants that something does not hold, and that holds.
            yield f"{each['wanted']}: {', '.join(map(_sentence, each['parts']))}"
        else:
            yield _sentence(each)


def _sentence(condition: Json) -> str:
    return sentence(
        ConditionTrace(wanted=condition["wanted"], seen=condition["seen"], held=condition["held"])
    )
