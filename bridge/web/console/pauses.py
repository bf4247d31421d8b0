"""Shows what is paused, and lets a person pause, resume, and let go on what a restore held.

It must not decide what may be paused: `Operations` does, for the command line too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from http import HTTPStatus
from typing import Final

from flask import Blueprint, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue

from bridge import describing, scopes
from bridge.errors import NotPossible
from bridge.ledger import Tx, choosing, pausing
from bridge.ledger.choosing import Chosen
from bridge.ledger.people import Act
from bridge.models import Pause, PauseScope
from bridge.settings.forms import duration
from bridge.web.console import filling
from bridge.web.console.access import Role, needs, visitor
from bridge.web.console.showing import shown
from bridge.web.services import Services

# So many of the runs that a pause holds are looked at; of more it is said that there are more.
_COUNTED: Final = 500
_CHOSEN: Final = (PauseScope.SOURCE, PauseScope.PORTAL, PauseScope.MAPPING, PauseScope.ACTION)
_WRITTEN: Final = (
    (PauseScope.ENGINE, "an Engine"),
    (PauseScope.DEVICES, "devices whose names fit a pattern"),
    *((scope, f"{scope}, by its name") for scope in _CHOSEN),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pausing:
    """The form that pauses, as it was sent."""

    what: str = ""
    name: str = ""
    lasting: str = ""
    reason: str = ""
    seen: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _LettingGo:
    """The form that lifts a pause, or what a restore holds, as it was sent; `seen` is what the page had."""

    reason: str = ""
    number: str = ""
    counted: str = ""
    seen: str = ""


def install(door: Blueprint, services: Services) -> None:
    """Add the page of the pauses, and those that lift one."""
    pages = _Pages(services)

    @door.get("/pauses")
    @needs(Role.VIEWER)
    def pauses() -> ResponseReturnValue:
        return pages.overview(_Pausing())

    @door.post("/pauses")
    @needs(Role.OPERATOR)
    def pause() -> ResponseReturnValue:
        return pages.pause(request.form)

    @door.route("/pauses/resume", methods=("GET", "POST"))
    @needs(Role.OPERATOR)
    def resume() -> ResponseReturnValue:
        return pages.resume(request.form) if request.method == "POST" else pages.lifting(request.args)

    @door.route("/pauses/restored", methods=("GET", "POST"))
    @needs(Role.OPERATOR)
    def restored() -> ResponseReturnValue:
        return pages.release(request.form) if request.method == "POST" else pages.after_restore()


class _Pages:
    """What is shown before an act, what does it, and what is shown where it was not done."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def pause(self, given: Mapping[str, str]) -> ResponseReturnValue:
        """Pause what a form says."""
        filled = _Pausing(**{one.name: given.get(one.name, "").strip() for one in fields(_Pausing)})
        problems = filling.reason_problem(filled.reason)
        scope, value = _scope(filled)
        if scope is None:
            problems["what"] = "Choose what is paused."
        lasting, wrong = _lasting(filled.lasting)
        if wrong:
            problems["lasting"] = wrong
        if problems or scope is None:
            return self.overview(filled, problems=problems)
        act = Act(author=visitor().name, reason=filled.reason)
        # Before the act: what is only said about it must not let it look as if it had failed.
        mapping_set = self._services.mapping_set()
        try:
            made = self._services.operations.pause(
                scope, value, lasting=lasting, act=act, seen=frozenset(filled.seen.split())
            )
        except NotPossible as error:
            return self.overview(filled, why_not=str(error))
        paused = f"{pausing.named(made)} is paused. What is under way already is not called back."
        expiring = describing.outlasting(made, mapping_set)
        return _done(f"{paused} {expiring}" if expiring else paused)

    def resume(self, given: Mapping[str, str]) -> ResponseReturnValue:
        """Lift the pause that a form names."""
        scope, value = _named(given)
        filled, problems = _letting_go(given)
        if problems:
            return self.lifting(given, filled, problems=problems)
        act = Act(author=visitor().name, reason=filled.reason)
        try:
            count = self._services.operations.resume(scope, value, act=act, seen=filled.seen)
        except NotPossible as error:
            return self.lifting(given, filled, why_not=str(error))
        return _done(f"{f'{scope} {value}'.strip()} is open again, runs queued: {count}.")

    def release(self, given: Mapping[str, str]) -> ResponseReturnValue:
        """Let go on what a restore holds."""
        filled, problems = _letting_go(given)
        seen = filling.count_of(filled.seen)
        if problems:
            return self.after_restore(filled, problems=problems)
        act = Act(author=visitor().name, reason=filled.reason)
        try:
            count = self._services.operations.release_restored(act=act, seen=seen)
        except NotPossible as error:
            return self.after_restore(filled, why_not=str(error))
        return _done(f"Runs queued: {count}.")

    def overview(
        self, filled: _Pausing, *, problems: Mapping[str, str] | None = None, why_not: str = ""
    ) -> ResponseReturnValue:
        """Show what is paused, and the form that pauses."""
        held, restored = self._services.ledger.read(choosing.held_by_pauses)
        connections, mapping_set = self._services.connections(), self._services.mapping_set()
        known = [(scope, scopes.known(scope, connections, mapping_set)) for scope in _CHOSEN]
        return shown(
            "pauses.html",
            filling.status_of(why_not, problems),
            held=held,
            seen=" ".join(pausing.fingerprint(pause) for pause, _ in held),
            restored=restored,
            known=[(scope, sorted(names)) for scope, names in known if names],
            written=_WRITTEN,
            filled=filled,
            problems=problems or {},
            why_not=why_not,
            may_act=visitor().may(Role.OPERATOR),
        )

    def lifting(
        self,
        given: Mapping[str, str],
        filled: _LettingGo | None = None,
        *,
        problems: Mapping[str, str] | None = None,
        why_not: str = "",
    ) -> ResponseReturnValue:
        """Show what resuming comes to."""
        scope, value = _named(given)
        pause, held = self._services.ledger.read(_behind, scope=scope, value=value)
        title = f"Resume {scope} {value}".strip()
        if pause is None:
            return self._letting_go(title, None, None, why_not=why_not or f"{scope} {value} is not paused")
        carried = {"seen": pausing.fingerprint(pause), "scope": scope, "value": value}
        return self._letting_go(
            title, held, filled, carried=carried, pause=pause, problems=problems, why_not=why_not
        )

    def after_restore(
        self,
        filled: _LettingGo | None = None,
        *,
        problems: Mapping[str, str] | None = None,
        why_not: str = "",
    ) -> ResponseReturnValue:
        """Show what a restore holds."""
        held, runs = self._services.ledger.read(_behind_restore)
        title = "Let go on what the restore held"
        if not runs:
            return self._letting_go(title, None, None, why_not=why_not or "nothing is held by a restore")
        carried = {"seen": str(runs)}
        return self._letting_go(title, held, filled, carried=carried, problems=problems, why_not=why_not)

    def _letting_go(
        self,
        title: str,
        held: Chosen | None,
        filled: _LettingGo | None,
        *,
        carried: Mapping[str, str] | None = None,
        pause: Pause | None = None,
        problems: Mapping[str, str] | None = None,
        why_not: str = "",
    ) -> ResponseReturnValue:
        return shown(
            "letting_go.html",
            filling.status_of(why_not, problems),
            title=title,
            pause=pause,
            held=held,
            # What its reader saw (S9).
            carried={**(carried or {}), "counted": str(held.devices if held else 0)},
            filled=filled or _LettingGo(),
            problems=problems or {},
            why_not=why_not,
        )


def _done(said: str) -> ResponseReturnValue:
    flash(said)
    return redirect(url_for("console.pauses"), HTTPStatus.SEE_OTHER)


def _behind(tx: Tx, *, scope: PauseScope, value: str) -> tuple[Pause | None, Chosen | None]:
    meant = scopes.among(pausing.standing(tx), scope, value)
    return meant, None if meant is None else choosing.held_by(tx, pause=meant, most=_COUNTED)


def _behind_restore(tx: Tx) -> tuple[Chosen, int]:
    return choosing.held_by_restore(tx, most=_COUNTED), choosing.held_by_pauses(tx)[1]


def _letting_go(given: Mapping[str, str]) -> tuple[_LettingGo, dict[str, str]]:
    filled = _LettingGo(**{one.name: given.get(one.name, "").strip() for one in fields(_LettingGo)})
    counted = filling.count_of(filled.counted)
    # There is nothing to confirm where nothing is held.
    number = filling.number_problem(filled.number, counted) if counted else {}
    return filled, filling.reason_problem(filled.reason) | number


def _named(given: Mapping[str, str]) -> tuple[PauseScope, str]:
    scope = given.get("scope", "")
    if scope not in set(PauseScope):
        raise NotPossible(f"there is no scope '{scope}'")
    return PauseScope(scope), given.get("value", "")


def _scope(filled: _Pausing) -> tuple[PauseScope | None, str]:
    """Return what was chosen: a name of the list, or a scope with the name that was written."""
    scope, _, listed = filled.what.partition(":")
    if scope not in set(PauseScope):
        return None, ""
    return PauseScope(scope), listed or filled.name


def _lasting(text: str) -> tuple[timedelta | None, str]:
    """Return how long, None for until it is resumed, and what is wrong with it."""
    if not text:
        return None, ""
    try:
        read = duration(text)
    except (ValueError, OverflowError):
        read = None
    if not isinstance(read, timedelta):
        return None, "Write it as 30m, 2h or 7d."
    if read > scopes.LONGEST:
        return None, f"At most {scopes.LONGEST.days}d."
    return read, ""
