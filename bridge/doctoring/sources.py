"""What can be tried at a ticket system: who we are there, what we may do, and whether its clock is ours.

It must not write to a ticket: whether that is allowed shows only in part.
"""

from collections.abc import Callable, Iterator
from datetime import datetime

from bridge.connections import Source
from bridge.doctoring import afterwards, reading
from bridge.doctoring.findings import Finding, clock, failure, good, note, warning
from bridge.mapping.language import MappingSet
from bridge.models import HttpRequest, HttpResponse, NoResponse, NotPosted
from bridge.ticketing.jira import Jira
from bridge.ticketing.jira import existing as jira_existing
from bridge.ticketing.jira import permissions as jira_permissions
from bridge.ticketing.servicenow import ServiceNow
from bridge.ticketing.servicenow import permissions as servicenow_permissions

ANSWER_SECONDS = 15.0


def examine(
    source: Source, mapping_set: MappingSet | None, *, now: Callable[[], datetime]
) -> Iterator[Finding]:
    """Yield what is found; where nobody answers, nothing further is asked."""
    system = source.system
    subject, settings = f"source {system.source}", f"BRIDGE_SOURCES__{system.source.upper()}__"
    request = system.account_request()
    response = _ask(source, request)
    if isinstance(response, NoResponse):
        yield failure(
            subject, response.reason, f"no answer: {response.detail}", settings=settings, url=request.url
        )
        return
    account = system.read_account(response)
    if isinstance(account, NotPosted):
        yield failure(
            subject, account.reason, f"our account: {account.detail}", settings=settings, url=request.url
        )
        return
    yield good(subject, f"our account is {account.name or account.login or account.email or account.id}")
    skew = clock(subject, response, now)
    if skew is not None:
        yield skew
    wanted = afterwards.wanted_texts(source, mapping_set)
    if isinstance(system, Jira):
        more = sorted(
            {jira_existing.PERMISSIONS[key] for key, _ in wanted if key in jira_existing.PERMISSIONS}
        )
        yield from _jira(source, system, subject, settings, (*jira_permissions.NEEDED, *more))
    elif isinstance(system, ServiceNow):
        yield from _servicenow(source, system, subject, settings)
    yield from reading.examine(source, account, mapping_set, now=now)
    yield from afterwards.examine(source, subject, wanted)


def _jira(
    source: Source, system: Jira, subject: str, settings: str, needed: tuple[str, ...]
) -> Iterator[Finding]:
    request = jira_permissions.request(system.config, needed)
    response = _ask(source, request)
    if isinstance(response, NoResponse):
        yield failure(
            subject, response.reason, f"permissions: {response.detail}", settings=settings, url=request.url
        )
        return
    lacking = jira_permissions.read_lacking(response, needed)
    if isinstance(lacking, NotPosted):
        yield failure(
            subject, lacking.reason, f"permissions: {lacking.detail}", settings=settings, url=request.url
        )
    elif lacking:
        yield warning(
            subject,
            f"our account has in no project: {', '.join(lacking)}",
            "give these permissions in the permission scheme of the projects",
        )
    else:
        yield good(subject, f"has in some project: {', '.join(needed)}")


def _servicenow(source: Source, system: ServiceNow, subject: str, settings: str) -> Iterator[Finding]:
    readable: list[str] = []
    for table in system.config.tables:
        request = servicenow_permissions.request(system.config, table)
        response = _ask(source, request)
        if isinstance(response, NoResponse):
            yield failure(
                subject,
                response.reason,
                f"table {table}: {response.detail}",
                settings=settings,
                url=request.url,
            )
            continue
        refusal = servicenow_permissions.read_refusal(response)
        if refusal is None:
            readable.append(table)
        else:
            yield warning(
                subject,
                f"table {table} cannot be read: {refusal.detail}",
                f"give our account the right, or take the table out of {settings}TABLES",
            )
    if readable:
        yield good(subject, f"may read {', '.join(readable)}")
    yield note(subject, "not tried: whether our account may write, as that cannot be tried without doing it")


def _ask(source: Source, request: HttpRequest) -> HttpResponse | NoResponse:
    return source.transport.send(request, deadline=ANSWER_SECONDS)
