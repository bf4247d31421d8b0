"""The ways in which a person moves one run on: the words for each, the look ahead, and the act.

It must not know how a page looks, nor do anything but call `Operations`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bridge.foreseeing import Foreseen
from bridge.ledger.people import Act
from bridge.models import RunId, RunState
from bridge.offering import RunAct
from bridge.operations import Operations
from bridge.web.console.access import visitor
from bridge.web.console.filling import Filled

TITLES: Final = {
    RunAct.APPROVE: "Approve or decline",
    RunAct.RELEASE: "Release",
    RunAct.RESOLVE: "Say what became of it",
    RunAct.SEND_AGAIN: "Send again to the Engines that missed it",
    RunAct.CANCEL: "Cancel",
    RunAct.REPLAY: "Replay",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One thing that can be done: `words` name it, `follows` says what comes of it.

    `look` says what it comes to for a run; `do` does it, and says so.
    """

    value: str
    words: str
    follows: str
    look: Callable[[RunId, Act], Foreseen]
    do: Callable[[RunId, Act, Filled], str]


def ways_of(operations: Operations) -> dict[RunAct, tuple[Way, ...]]:
    """Return the ways of each act."""
    see = operations.foreseeing

    def deciding(*, approve: bool, words: str, follows: str) -> Way:
        def do(run: RunId, act: Act, filled: Filled) -> str:
            state = operations.decide(
                run, identities=visitor().identities, plan_hash=filled.plan_hash, approve=approve, act=act
            )
            return f"It is {'approved and queued' if state is RunState.QUEUED else state}."

        return Way(
            value="approve" if approve else "decline",
            words=words,
            follows=follows,
            look=lambda run, act: see.decide(run, approve=approve, act=act),
            do=do,
        )

    def resolving(value: str, *, ran: bool, send_again: bool, words: str, follows: str) -> Way:
        def do(run: RunId, act: Act, _filled: Filled) -> str:
            attempt = act.seen.attempt if act.seen else None
            state = operations.resolve(run, ran=ran, send_again=send_again, attempt=attempt, act=act)
            return f"It is {state} now."

        return Way(
            value=value,
            words=words,
            follows=follows,
            look=lambda run, act: see.resolve(run, ran=ran, send_again=send_again, act=act),
            do=do,
        )

    def release(run: RunId, act: Act, _filled: Filled) -> str:
        operations.release(run, act=act)
        return "It is queued."

    def send_again(run: RunId, act: Act, _filled: Filled) -> str:
        parts = operations.send_again(run, attempt=act.seen.attempt if act.seen else 0, act=act)
        engines = {engine for part in parts for engine in part.engines or ()}
        return f"It is queued for {len(engines)} Engine(s)."

    def cancel(run: RunId, act: Act, _filled: Filled) -> str:
        state = operations.cancel(run, act=act)
        rest = "" if state is RunState.CANCELLED else " A part had been sent; the rest is not."
        return f"It is {state}.{rest}"

    def replay(run: RunId, act: Act, _filled: Filled) -> str:
        return f"It is replayed as {operations.replay(run, act=act)}."

    return {
        RunAct.APPROVE: (
            deciding(
                approve=True,
                words="Approve",
                follows="It is queued, and sent when its age, the pauses and the limits allow it and the "
                "ticket still asks for exactly this.",
            ),
            deciding(approve=False, words="Decline", follows="It is cancelled: nothing of it is sent."),
        ),
        RunAct.RELEASE: (
            Way(
                value="release",
                words="Release",
                follows="It is queued. Its age, the pauses and its approval are looked at again before it is "
                "sent; where a limit held it, every limit is passed by for this one send.",
                look=lambda run, act: see.release(run, act=act),
                do=release,
            ),
        ),
        RunAct.RESOLVE: (
            resolving(
                "ran",
                ran=True,
                send_again=False,
                words="It ran",
                follows="It is closed on your word: you found out in Nexthink that the action ran.",
            ),
            resolving(
                "not-ran",
                ran=False,
                send_again=False,
                words="It did not run",
                follows="It is closed on your word: you found out in Nexthink that the action did not run.",
            ),
            resolving(
                "send-again",
                ran=False,
                send_again=True,
                words="It did not run: send it again",
                follows="A further attempt is made of what is unknown or was not sent, as soon as the one "
                "before is over for certain.",
            ),
        ),
        RunAct.SEND_AGAIN: (
            Way(
                value="send-again",
                words="Send again",
                follows="It is queued for exactly the Engines that missed it. Age, pauses, approval and "
                "limits are looked at again before it is sent.",
                look=lambda run, act: see.send_again(run, act=act),
                do=send_again,
            ),
        ),
        RunAct.CANCEL: (
            Way(
                value="cancel",
                words="Cancel",
                follows="Nothing more of it is sent.",
                look=lambda run, act: see.cancel(run, act=act),
                do=cancel,
            ),
        ),
        RunAct.REPLAY: (
            Way(
                value="replay",
                words="Replay",
                follows="A new run is made of its plan, under every limit, pause and approval. Its devices "
                "are looked up anew, and its age still counts from the change of the ticket.",
                look=lambda run, act: see.replay(run, act=act),
                do=replay,
            ),
        ),
    }
