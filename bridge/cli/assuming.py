"""Settings for looking at mapping files where no ticket system or portal is configured, as in a CI.

It must not let made-up settings reach anything that sends.
"""

from collections.abc import Mapping
from pathlib import Path

from bridge.bootstrap import read_folder_settings
from bridge.cli.opening import read_settings
from bridge.cli.showing import note
from bridge.models import SourceKind
from bridge.settings import Settings
from bridge.settings import read_settings as read_given

_SOURCES = {"jira": SourceKind.JIRA, "servicenow": SourceKind.SERVICENOW}
_PORTALS = ("main",)
# Nothing is ever verified with it or sent with it.
_MADE_UP = "made-up-for-looking-at-files-only"


def settings_for_files(
    *, directory: Path | None, sources: Mapping[str, SourceKind], portals: tuple[str, ...]
) -> Settings:
    """Return the settings with the sources and portals that are named here, else the configured ones.

    Where neither names any, the names of the shipped mappings are assumed, with a note. With both named only
    the folder is taken from the settings, and that only without `directory`, so that files can be checked
    anywhere.
    """
    if not (sources and portals):
        given = read_settings()
    else:
        given = read_folder_settings() if directory is None else read_given({})
    wanted = sources or ({} if given.sources else _SOURCES)
    wanted_portals = portals or (() if given.portals else _PORTALS)
    _tell_assumptions(sources, portals, wanted, wanted_portals)
    made_up = read_given(_variables(wanted, wanted_portals))
    changes: dict[str, object] = {}
    if wanted:
        changes["sources"] = made_up.sources
    if wanted_portals:
        changes["portals"] = made_up.portals
    if directory is not None:
        changes |= {"mappings": directory, "catalogue": None}
    return given.model_copy(update=changes)


def _tell_assumptions(
    sources: Mapping[str, SourceKind],
    portals: tuple[str, ...],
    wanted: Mapping[str, SourceKind],
    wanted_portals: tuple[str, ...],
) -> None:
    if wanted and not sources:
        named = ", ".join(f"{name} ({kind})" for name, kind in wanted.items())
        note(f"no source is configured, so these are assumed: {named} (name yours with --source)")
    if wanted_portals and not portals:
        named = ", ".join(wanted_portals)
        note(f"no portal is configured, so this is assumed: {named} (name yours with --portal)")


def _variables(sources: Mapping[str, SourceKind], portals: tuple[str, ...]) -> dict[str, str]:
    variables: dict[str, str] = {}
    for name, kind in sources.items():
        variables |= {
            f"BRIDGE_SOURCES__{name.upper()}__{setting}": value
            for setting, value in {
                "KIND": kind.value,
                "BASE_URL": f"https://{kind}.example.com",
                "VERIFY": "token",
                "TRUST": "payload",
                "SECRETS": f'["{_MADE_UP}"]',
                "USERNAME": "bridge",
                "PASSWORD": _MADE_UP,
                # Files are held against as little as can be where nothing is known of the source.
                **({"HISTORY": "sys_audit"} if kind is SourceKind.SERVICENOW else {}),
            }.items()
        }
    for name in portals:
        variables |= {
            f"BRIDGE_PORTALS__{name.upper()}__{setting}": value
            for setting, value in {
                "BASE_URL": "https://nexthink.example.com",
                "USERNAME": "bridge",
                "PASSWORD": _MADE_UP,
                "NXQL_URL": "https://engine.example.com/{name}/2/query",
            }.items()
        }
    return variables
