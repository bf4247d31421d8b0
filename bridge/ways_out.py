"""Says by which commands a person moves a run on that waits for one.

It must not carry a command out.
"""

from dataclasses import dataclass

from bridge.errors import Reason
from bridge.models import Run, RunState


@dataclass(frozen=True, slots=True, kw_only=True)
class WaysOut:
    """What to do first, and the commands to choose from; both empty where a run waits for nobody."""

    advice: str = ""
    commands: tuple[str, ...] = ()


def of(run: Run, *, attempt: int) -> WaysOut:
    """Return the ways out of a run for which `attempt` requests have been made."""
    if run.state is RunState.UNKNOWN:
        return WaysOut(
            advice="Find out in Nexthink whether the action ran, then say so with one of these:",
            commands=(
                f"bridge resolve {run.id} --ran --reason TEXT",
                f"bridge resolve {run.id} --not-ran --reason TEXT",
                f"bridge resolve {run.id} --not-ran --send-again --attempt {attempt} --reason TEXT",
            ),
        )
    if run.state is RunState.HELD:
        advice, release = _release(run)
        return WaysOut(
            advice=advice,
            commands=(f"bridge release {release} --reason TEXT", f"bridge cancel {run.id} --reason TEXT"),
        )
    return WaysOut()


def _release(run: Run) -> tuple[str, str]:
    if run.reason is Reason.PORTAL_PAUSED and run.plan is not None:
        advice = "Its portal was paused. Mend the cause, then release what it holds, or cancel this run:"
        return advice, f"--portal {run.plan.portal}"
    if run.reason is Reason.RESTORED:
        advice = "The ledger looked restored. Compare with the tickets, then release all, or cancel this run:"
        return advice, "--restored"
    if run.reason is Reason.LOOP:
        return "Find out who keeps changing the ticket, then choose one of these:", str(run.id)
    return "It waits for a person:", str(run.id)
