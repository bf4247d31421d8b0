"""What a person may do: pause, resume, resolve, cancel, release; who, why, and which attempt they saw (S9).

It must not know how they asked: the command line and any console call the same functions.
"""

import getpass
import socket
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from bridge import scopes
from bridge.approving import Approving
from bridge.connections import Connections
from bridge.errors import NotPossible, Reason
from bridge.foreseeing import Foreseeing, Foreseen
from bridge.ledger import Ledger, again, pausing, people, replaying, sessions, working
from bridge.ledger.people import Act
from bridge.mapping.language import MappingSet
from bridge.models import Identity, OwedComment, Part, Pause, PauseScope, RunId, RunState
from bridge.setting_aside import SettingAside
from bridge.tokens import Tokens, person_in


def author_here() -> str:
    """Return who is at this command line: the account and the host."""
    return f"{getpass.getuser()}@{socket.gethostname()}"


class Operations:
    """The use cases of people; every one writes who and why into the run's timeline and the audit.

    `mapping_set` looks up the set in force, and gives None where there is none that this version can read.
    `foreseeing` says of each act on a run what it would come to.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        connections: Callable[[], Connections],
        clock: Callable[[], datetime],
        aside: SettingAside,
        mapping_set: Callable[[], MappingSet | None],
        approving: Approving,
        tokens: Tokens,
        new_id: Callable[[], str],
    ) -> None:
        self._ledger = ledger
        self._connections = connections
        self._mapping_set = mapping_set
        self._approving = approving
        self._tokens = tokens
        self._new_id = new_id
        self._aside = aside
        self.foreseeing = Foreseeing(ledger=ledger, clock=clock, aside=aside, mapping_set=mapping_set)

    def resolve(
        self, run_id: RunId, *, ran: bool, send_again: bool, attempt: int | None, act: Act
    ) -> RunState:
        """Say what became of an unknown run; return its new state.

        `ran` closes it as answered. Otherwise it is closed as refused (as answered where another call of it
        was) or, with `send_again`, gets one further attempt of every call that is unknown. `attempt` is how
        many requests had been made when the person looked; to send again they must say it, or an old
        decision could send what is new.
        Raises NotPossible where the run is not unknown, too old, or another attempt came between.
        """
        if ran and send_again:
            raise NotPossible("an action that ran is not sent again (use --not-ran with --send-again)")
        if send_again and attempt is None:
            raise NotPossible("say which attempt you looked at (see `bridge runs show`, then add --attempt)")
        foreseen = self.foreseeing.resolve(run_id, ran=ran, send_again=send_again, act=act)
        self._ledger.write(
            people.resolve,
            run=run_id,
            attempt=foreseen.made if attempt is None else attempt,
            state=foreseen.state,
            act=act,
            comment=self._owed(foreseen),
        )
        return foreseen.state

    def send_again(self, run_id: RunId, *, attempt: int, act: Act) -> tuple[Part, ...]:
        """Send an answered run again to exactly the Engines that missed it; return what is planned.

        `attempt` is how many requests had been made when the person looked (S9). Raises NotPossible where
        no Engine missed it, the run is too old, or another attempt came between.
        """
        foreseen = self.foreseeing.send_again(run_id, act=act)
        comment = self._owed(foreseen)
        assert foreseen.plan is not None
        assert comment is not None
        self._ledger.write(
            again.send_again,
            run=run_id,
            plan=foreseen.plan,
            attempt=attempt,
            parts=foreseen.parts,
            act=act,
            comment=comment,
        )
        return foreseen.parts

    def cancel(self, run_id: RunId, *, act: Act) -> RunState:
        """Send nothing more of a run that waits; return what it became.

        Raises NotPossible for one that is under way or has ended.
        """
        foreseen = self.foreseeing.cancel(run_id, act=act)
        comment = self._owed(foreseen)
        assert comment is not None
        self._ledger.write(
            people.cancel, run=run_id, attempt=foreseen.made, state=foreseen.state, act=act, comment=comment
        )
        return foreseen.state

    def replay(self, run_id: RunId, *, act: Act) -> RunId:
        """Have the plan of a run that ended sent as a new run, under every rule again; return the new run.

        Its devices are looked up anew; its age still counts from the change of the ticket. Raises NotPossible
        for a run that has not ended, is too old, or was replayed before.
        """
        foreseen = self.foreseeing.replay(run_id, act=act)
        assert foreseen.plan is not None
        new_id = RunId(f"r{self._new_id()}")
        self._ledger.write(replaying.replay, run=run_id, new_id=new_id, plan=foreseen.plan, act=act)
        return new_id

    def release(self, run_id: RunId, *, act: Act) -> None:
        """Queue a held run again; everything is looked at again before it is sent, but for limits.

        One that a limit held passes every limit by, for this one send.

        Raises NotPossible for one that is not held, or that would be held again or expire: the message says
        what stands in the way.
        """
        foreseen = self.foreseeing.release(run_id, act=act)
        held_for = foreseen.run.reason
        self._ledger.write(
            people.release,
            run=run_id,
            reason=held_for,
            waive=held_for is Reason.OVER_LIMIT,
            act=act,
            comment=self._owed(foreseen),
        )

    def approve(self, run_id: RunId, *, secret: str, plan_hash: str, approve: bool, reason: str) -> RunState:
        """Approve or decline a run as the bearer of a personal token; otherwise as `decide`.

        Raises NotPossible where the token does not count, too.
        """
        token = self._tokens.bearer(secret)
        act = Act(author=token.name, reason=reason)
        return self.decide(run_id, identities=token.identities, plan_hash=plan_hash, approve=approve, act=act)

    def decide(
        self,
        run_id: RunId,
        *,
        identities: tuple[Identity, ...],
        plan_hash: str,
        approve: bool,
        act: Act,
    ) -> RunState:
        """Approve or decline a run as somebody who was let in; return what it became.

        `identities` are who they are in the sources. `plan_hash` is the beginning of the hash of the plan
        that they saw (S9). Raises NotPossible where they are nobody in the run's source, or may not decide
        (L3).
        """
        run = self._ledger.read(working.find_run, run=run_id)
        return self._approving.decide(
            run_id,
            person=person_in(run.ticket.source, identities),
            by=act.author,
            plan_hash=plan_hash,
            approve=approve,
            act=act,
        )

    def release_restored(self, *, act: Act, seen: int | None = None) -> int:
        """Queue the runs that were held because the ledger looked restored; return how many.

        Raises NotPossible where they are more than the person has `seen` (S9).
        """
        return self._ledger.write(people.release_restored, act=act, seen=seen)

    def pause(
        self,
        scope: PauseScope,
        value: str,
        *,
        lasting: timedelta | None,
        act: Act,
        seen: frozenset[str] | None = None,
    ) -> Pause:
        """Stop sending within a scope until it is resumed, or for `lasting`; return the pause.

        It holds for every worker before its next intent. `seen` are the fingerprints of the pauses that the
        person looked at. Raises NotPossible for a name that is not configured, and where it is paused for as
        long already, or by another pause than they saw (S9).
        """
        scopes.require_known(scope, value, connections=self._connections(), mapping_set=self._mapping_set())
        return self._ledger.write(people.pause, scope=scope, value=value, lasting=lasting, act=act, seen=seen)

    def resume(self, scope: PauseScope, value: str, *, act: Act, seen: str | None = None) -> int:
        """Lift a pause and queue what it held; return how many runs.

        `seen` is the fingerprint of the pause that the person looked at. Raises NotPossible where there is
        none, or another by now (S9).
        Of what has been paused and then renamed or removed only the ledger knows, so the name is looked up
        among the pauses.
        """
        meant = scopes.among(self._ledger.read(pausing.standing), scope, value)
        if meant is None:
            scopes.require_known(
                scope, value, connections=self._connections(), mapping_set=self._mapping_set()
            )
        value = value if meant is None else meant.value
        return self._ledger.write(people.resume, scope=scope, value=value, act=act, seen=seen)

    def unknown_names(self, names: Mapping[PauseScope, str]) -> tuple[str, ...]:
        """Return a sentence for each name that is not configured, or in no mapping set in force."""
        connections, mapping_set = self._connections(), self._mapping_set()
        said = (
            scopes.unknown(scope, name, connections=connections, mapping_set=mapping_set)
            for scope, name in names.items()
        )
        return tuple(filter(None, said))

    def _owed(self, foreseen: Foreseen) -> OwedComment | None:
        told = foreseen.told
        if told is None:
            return None
        return self._aside.owed(foreseen.run, told.occasion, told.n, told.report)

    def declare_restored(self) -> int:
        """Hold every unfinished run, after a failover or a restore that the bridge cannot see (W7)."""
        return self._ledger.write(sessions.hold_everything)
