"""Lets a person act on one run: a page that says what each way comes to, and the act itself.

It must not decide what fits a run: `foreseeing` says so before, and whoever carries it out looks again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Final

from flask import Blueprint, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue

from bridge import offering
from bridge.comments.second_sends import engine_names
from bridge.errors import LostOwnership, NotPossible
from bridge.foreseeing import Foreseen
from bridge.ledger import outbox, queries
from bridge.ledger.people import Act
from bridge.ledger.queries import RunStory
from bridge.models import EngineCode, EngineUid, RunId
from bridge.offering import RunAct
from bridge.policy import too_old_at
from bridge.tokens import person_in
from bridge.web.console import filling
from bridge.web.console.access import Role, needs, visitor
from bridge.web.console.filling import Filled
from bridge.web.console.showing import identifier, shown
from bridge.web.console.ways import TITLES, Way, ways_of
from bridge.web.services import Services

# The acts on a run, each a page, and who may do it.
NEEDED: Final = {
    RunAct.APPROVE: Role.APPROVER,
    RunAct.RELEASE: Role.OPERATOR,
    RunAct.RESOLVE: Role.OPERATOR,
    RunAct.SEND_AGAIN: Role.OPERATOR,
    RunAct.CANCEL: Role.OPERATOR,
    RunAct.REPLAY: Role.OPERATOR,
}

_LOOK_AND_DO: Final = ("GET", "POST")
_MOVED: Final = "run {run} was moved by somebody else meanwhile (look again, then decide)"
# Stands in the comment that is shown before, where what is typed will stand.
_REASON_TO_COME: Final = "(what you write here)"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Possible:
    """A way that fits the run, with what it comes to and which changes of the ticket follow."""

    way: Way
    foreseen: Foreseen
    changes: tuple[str, ...]


def install(door: Blueprint, services: Services) -> None:
    """Add the pages of the acts on a run, and what lets other pages offer them."""
    pages = _Pages(services)

    for kind, role in NEEDED.items():
        door.add_url_rule(
            f"/runs/<run>/{kind}",
            endpoint=_endpoint(kind),
            view_func=needs(role)(partial(pages.answer, kind)),
            methods=_LOOK_AND_DO,
        )
    door.add_app_template_filter(filling.written, "as_seen")
    door.add_app_template_global(_engines_named, "engines_named")
    door.add_app_template_global(pages.offered, "acts_offered")


class _Pages:
    """What the views of all acts have in common."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._ways = ways_of(services.operations)

    def answer(self, kind: RunAct, run: str) -> ResponseReturnValue:
        """Show what an act comes to, or do it as the form says and lead to the run."""
        wanted = RunId(identifier(run))
        # HEAD comes here, too, and what is safe by its name is asked for no token.
        if request.method != "POST":
            return self.page(kind, wanted, Filled())
        filled = filling.read(request.form)
        possible, refused = _looked(self._ways[kind], wanted)
        chosen = next((one for one in possible if one.way.value == filled.way), None)
        if chosen is None and filled.way in refused:
            return self.page(kind, wanted, filled, why_not=refused[filled.way])
        problems = filling.problems(filled, chosen.foreseen if chosen else None)
        if problems or chosen is None:
            return self.page(kind, wanted, filled, problems=problems)
        act = Act(author=visitor().name, reason=filled.reason, seen=filled.seen)
        try:
            said = chosen.way.do(wanted, act, filled)
        except NotPossible as error:
            return self.page(kind, wanted, filled, why_not=str(error))
        except LostOwnership:
            return self.page(kind, wanted, filled, why_not=_MOVED.format(run=wanted))
        flash(said)
        return redirect(url_for("console.run", run=wanted), HTTPStatus.SEE_OTHER)

    def page(
        self,
        kind: RunAct,
        run: RunId,
        filled: Filled,
        *,
        why_not: str = "",
        problems: Mapping[str, str] | None = None,
    ) -> ResponseReturnValue:
        """Return the page of an act: what it comes to for the run as it stands, and a form if it fits."""
        story = self._services.ledger.read(queries.run_story, run=run)
        possible, refused = _looked(self._ways[kind], run)
        if not possible:
            why_not = why_not or next(iter(refused.values()))
        plan = story.run.plan
        return shown(
            "act.html",
            filling.status_of(why_not, problems),
            kind=kind,
            title=TITLES[kind],
            story=story,
            possible=possible,
            filled=filled,
            why_not=why_not,
            problems=problems or {},
            stranger=_stranger(story) if kind is RunAct.APPROVE else "",
            people_sign_in=self._services.signing_in is not None,
            engines=engine_names(story.calls),
            accepted=_accepted(story) if kind is RunAct.REPLAY else (),
            expires=too_old_at(plan) if plan else None,
        )

    def offered(self, story: RunStory) -> list[tuple[str, str]]:
        """Return where the visitor goes to act on a run, and in which words."""
        fitting = offering.of(story, now=self._services.clock())
        run, may = story.run.id, visitor().may
        found = [
            (url_for(f"console.{_endpoint(act)}", run=run), TITLES[act])
            for act in fitting.acts
            if may(NEEDED[act])
        ]
        if not may(Role.OPERATOR):
            return found
        if fitting.pause is not None:
            scope, value = fitting.pause.scope, fitting.pause.value
            lift = url_for("console.resume", scope=scope, value=value or None)
            found.append((lift, "Lift the pause"))
        if fitting.restored:
            found.append((url_for("console.restored"), "Let go on what the restore held"))
        return found


def _endpoint(kind: RunAct) -> str:
    return kind.replace("-", "_")


def _looked(ways: Iterable[Way], run: RunId) -> tuple[list[_Possible], dict[str, str]]:
    """Return the ways that fit a run, and of each other one why it does not."""
    possible, refused = [], {}
    act = Act(author=visitor().name, reason=_REASON_TO_COME)
    for way in ways:
        try:
            foreseen = way.look(run, act)
        except NotPossible as error:
            refused[way.value] = str(error)
            continue
        after = foreseen.run.plan.after if foreseen.run.plan and foreseen.told else ()
        changes = tuple(outbox.in_words(change) for change in after if change.outcome is foreseen.state)
        possible.append(_Possible(way=way, foreseen=foreseen, changes=changes))
    return possible, refused


def _engines_named(foreseen: Foreseen, names: Mapping[EngineUid, str]) -> list[str]:
    """Return the Engines to which frozen parts go, by name where it is known; none where all are meant."""
    wanted = dict.fromkeys(engine for part in foreseen.parts for engine in part.engines or ())
    return [names.get(engine, engine) for engine in wanted]


def _accepted(story: RunStory) -> tuple[str, ...]:
    """Return the Engines that accepted a run: they are sent a replay once more."""
    outcomes = (outcome for call in story.calls if call.result for outcome in call.result.outcomes)
    accepted = (outcome for outcome in outcomes if outcome.code is EngineCode.OK)
    return tuple(dict.fromkeys(outcome.name or outcome.engine for outcome in accepted))


def _stranger(story: RunStory) -> str:
    """Say why nobody knows who the visitor is in the run's source; nothing where that is known."""
    try:
        person_in(story.run.ticket.source, visitor().identities)
    except NotPossible as error:
        return str(error)
    return ""
