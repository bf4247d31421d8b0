"""Checks mapping files as a whole: the language, the tests that stand in them, and what should be looked at.

It must not send anything; a set that it finds a problem in is not put into force.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations

from bridge.comments.waiting import span_in_words
from bridge.errors import ConfigurationError, WebhookRefused
from bridge.mapping import conditions, language
from bridge.mapping.cases import Case, Expected
from bridge.mapping.conditions import Ask, FieldCondition
from bridge.mapping.evaluate import evaluate
from bridge.mapping.language import MappingSet
from bridge.mapping.paths import Path, View
from bridge.mapping.reading import LoadContext
from bridge.mapping.rules import MappingRule
from bridge.mapping_files import MappingFiles
from bridge.models import (
    Decision,
    Delivery,
    Ignored,
    Json,
    MappingId,
    Mode,
    Plan,
    SourceName,
    TicketEvent,
    Unplannable,
)
from bridge.policy import needs_approval
from bridge.ticketing import TicketSystem

Parse = Callable[[SourceName, Json], TicketEvent | Ignored]

# A test compares devices and parameters, so any fixed time does where a sample has none.
_TEST_TIME = datetime(2000, 1, 1, tzinfo=UTC)
# So many mappings of one action are not compared pair by pair.
_COMPARED_AT_MOST = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """What a check found. The set is None where the files cannot be read, and usable without problems."""

    mapping_set: MappingSet | None
    problems: tuple[str, ...]
    warnings: tuple[str, ...]
    tests_run: int
    tests_failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _CaseRun:
    """What one test came to. `event` is None where its sample is ignored or cannot be read."""

    case: Case
    event: TicketEvent | None
    problems: tuple[str, ...]

    @property
    def names(self) -> frozenset[MappingId]:
        return frozenset(expected.mapping for expected in self.case.expect if expected.problem is None)


def check(files: MappingFiles, context: LoadContext, parse: Parse) -> CheckResult:
    """Load the files, run their tests, and return every problem and warning together."""
    try:
        loaded = language.load(files.texts, context)
    except ConfigurationError as error:
        return unread(error.problems, files.warnings)
    runs = tuple(_run(case, files, loaded, parse) for case in loaded.cases)
    problems = (
        *(problem for run in runs for problem in run.problems),
        *_paths_in_no_sample(loaded, runs),
    )
    warnings = (
        *files.warnings,
        *loaded.warnings,
        *_untested(loaded, runs),
        *_hardly_approved(loaded.mappings),
        *_approved_by_what_starts_it(loaded.mappings),
        *_of_nobody(loaded.mappings, context),
        *_overlaps(loaded.mappings),
    )
    return CheckResult(
        mapping_set=loaded,
        problems=problems,
        warnings=warnings,
        tests_run=len(runs),
        tests_failed=sum(bool(run.problems) for run in runs),
    )


def unread(problems: tuple[str, ...], warnings: tuple[str, ...] = ()) -> CheckResult:
    """Return the result for files that cannot be read, so that no test ran."""
    return CheckResult(mapping_set=None, problems=problems, warnings=warnings, tests_run=0, tests_failed=0)


def parsed_by(systems: Mapping[SourceName, TicketSystem], received_at: datetime) -> Parse:
    """Return what reads a sample as its source would read it if it came then."""

    def parse(source: SourceName, payload: Json) -> TicketEvent | Ignored:
        delivery = Delivery(
            source=source, key="sample", digest="", timed=True, payload=payload, received_at=received_at
        )
        return systems[source].parse_event(delivery)

    return parse


def _run(case: Case, files: MappingFiles, loaded: MappingSet, parse: Parse) -> _CaseRun:
    try:
        event = parse(case.source, files.sample(case.payload))
    except ConfigurationError as error:
        problems = tuple(f"{case.payload_place}: {problem}" for problem in error.problems)
        return _CaseRun(case=case, event=None, problems=problems)
    except WebhookRefused as error:
        problem = (
            f"{case.payload_place}: '{case.payload}' would be refused: {error.detail} (correct the sample)"
        )
        return _CaseRun(case=case, event=None, problems=(problem,))
    if isinstance(event, Ignored):
        decisions: tuple[Decision, ...] = ()
    else:
        decisions = evaluate(event, loaded, received_at=_TEST_TIME).decisions
    known = None if isinstance(event, Ignored) else event
    return _CaseRun(case=case, event=known, problems=tuple(_differences(case, decisions, event)))


def _differences(case: Case, decisions: Iterable[Decision], event: TicketEvent | Ignored) -> Iterator[str]:
    """Yield every way in which what fired is not what the test expects."""
    prefix = f"test '{case.name}' failed"
    by_mapping = {decision.mapping: decision for decision in decisions}
    fired = {name: one.result for name, one in by_mapping.items() if one.result is not None}
    ignored = f": the sample is ignored, {event.detail}" if isinstance(event, Ignored) else ""
    for expected in case.expect:
        result = fired.pop(expected.mapping, None)
        if result is None:
            why = ignored or _why_not(by_mapping.get(expected.mapping))
            yield f"{expected.place}: {prefix}: '{expected.mapping}' did not fire{why}"
        else:
            for difference in _compared(expected, result):
                yield f"{expected.place}: {prefix}: {difference}"
    for name in fired:
        yield f"{case.place}: {prefix}: '{name}' fired and is not expected (add it, or tighten its 'when')"


def _why_not(decision: Decision | None) -> str:
    """Return the first condition that did not hold, as a sentence after a colon."""
    failed = [trace for trace in (decision.trace if decision else ()) if trace.held is not True]
    return f": {conditions.sentence(failed[0])}" if failed else " (run 'bridge explain' on the sample)"


def _compared(expected: Expected, result: Plan | Unplannable) -> Iterator[str]:
    if isinstance(result, Unplannable):
        if expected.problem is not result.problem.reason:
            yield f"nothing can be planned: {result.problem.detail} ({result.problem.reason.value})"
        return
    if expected.problem is not None:
        yield f"the action would run, but '{expected.problem.value}' is expected"
        return
    if expected.devices is not None and expected.devices != result.devices:
        yield f"devices are {list(result.devices)}, expected {list(expected.devices)}"
    if expected.params is not None and expected.params != tuple(sorted(result.params)):
        yield f"params are {dict(result.params)}, expected {dict(expected.params)}"
    needed = needs_approval(result, len(result.devices))
    if expected.approval is not None and expected.approval is not needed:
        yield f"it {'needs approval' if needed else 'needs no approval'}, the opposite is expected"


def _paths_in_no_sample(loaded: MappingSet, runs: tuple[_CaseRun, ...]) -> Iterator[str]:
    """Yield the paths of live mappings that no sample has: that is where typing mistakes hide."""
    views = [(run, View(run.event)) for run in runs if run.event is not None]
    for rule in loaded.mappings:
        if rule.mode is not Mode.LIVE:
            continue
        own = [view for run, view in views if _is_about(run, rule)]
        for path in dict.fromkeys(_paths(rule)):
            if path.root in ("fields", "payload") and not any(view.occurs(path) for view in own):
                yield (
                    f"{rule.place}: '{path.text}' occurs in no sample of live mapping '{rule.id}' "
                    "(correct the path, or add a test whose sample has it)"
                )


def _is_about(run: _CaseRun, rule: MappingRule) -> bool:
    """Say whether a test is a mapping's: it names it, or stands in its file for the same source."""
    named = any(expected.mapping == rule.id for expected in run.case.expect)
    return named or (run.case.place.file == rule.place.file and run.case.source == rule.source)


def _paths(rule: MappingRule) -> Iterator[Path]:
    for condition in rule.when:
        yield from conditions.paths(condition)
    yield from rule.devices.paths
    yield from (source.path for source in rule.params if source.path is not None)
    if rule.portal.path is not None:
        yield rule.portal.path


def _untested(loaded: MappingSet, runs: tuple[_CaseRun, ...]) -> Iterator[str]:
    for rule in loaded.mappings:
        if rule.mode is not Mode.LIVE:
            continue
        own = [run for run in runs if _is_about(run, rule)]
        if not any(rule.id in run.names for run in own):
            yield f"{rule.place}: live mapping '{rule.id}' has no test in which it runs (add one)"
        if all(rule.id in run.names for run in own):
            yield f"{rule.place}: live mapping '{rule.id}' has no test in which it does not run (add one)"


def _hardly_approved(mappings: tuple[MappingRule, ...]) -> Iterator[str]:
    """Yield mappings whose approval is over sooner than it says."""
    for rule in mappings:
        if rule.approval is not None and rule.approval.expires > rule.max_age:
            yield (
                f"{rule.place}: '{rule.id}' can be approved for {span_in_words(rule.approval.expires)}, but "
                f"is too old to be sent after {span_in_words(rule.max_age)} "
                "(raise 'max_age', or shorten 'expires')"
            )


def _approved_by_what_starts_it(mappings: tuple[MappingRule, ...]) -> Iterator[str]:
    """Yield mappings that start on the very change that is to approve them: it would have to come twice."""
    for rule in mappings:
        approval = rule.approval
        if approval is None or approval.field is None or approval.becomes is None:
            continue
        if approval.becomes in _wanted(rule).get(f"change.{approval.field}.to", frozenset()):
            yield (
                f"{rule.place}: '{rule.id}' starts when {approval.field} becomes '{approval.becomes}', and "
                "the same change is to approve it (start it on another change, or approve it by another)"
            )


def _of_nobody(mappings: tuple[MappingRule, ...], context: LoadContext) -> Iterator[str]:
    """Yield mappings that ask whose device it is where no ticket says who its person is."""
    for rule in mappings:
        if rule.owner is not None and rule.source in context.without_login:
            yield (
                f"{rule.place}: '{rule.id}' asks for the login of the ticket's person, which Jira Cloud does "
                "not tell: nothing will ever run (take the devices from a field of the ticket)"
            )


def _overlaps(mappings: tuple[MappingRule, ...]) -> Iterator[str]:
    """Yield pairs that can fire for one event with the same action."""
    groups: dict[tuple[SourceName, str], list[MappingRule]] = {}
    for rule in mappings:
        groups.setdefault((rule.source, rule.action.name), []).append(rule)
    for (source, action), group in groups.items():
        if len(group) > _COMPARED_AT_MOST:
            yield f"{len(group)} mappings of '{source}' run '{action}': too many to look for overlaps"
            continue
        for one, other in combinations(group, 2):
            if set(one.events) & set(other.events) and not _exclude(one, other):
                yield (
                    f"{other.place}: mappings '{one.id}' and '{other.id}' can both run '{action}' "
                    "for one ticket (make a condition tell them apart)"
                )


def _exclude(one: MappingRule, other: MappingRule) -> bool:
    """Say whether some value cannot be what both mappings want."""
    wanted = _wanted(one)
    return any(path in wanted and not wanted[path] & texts for path, texts in _wanted(other).items())


def _wanted(rule: MappingRule) -> dict[str, frozenset[str]]:
    """Return the texts that each path must have, as far as the outermost conditions say."""
    wanted: dict[str, frozenset[str]] = {}
    for condition in rule.when:
        if isinstance(condition, FieldCondition) and condition.test in (Ask.EQUALS, Ask.IN):
            texts = frozenset(condition.texts)
            wanted[condition.path.text] = wanted.get(condition.path.text, texts) & texts
    return wanted
